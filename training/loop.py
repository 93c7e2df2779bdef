"""The training loop shared by all models: resumable, seeded, with a progress bar."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .processes import averaged, is_first


class Task(Protocol):
    """One training job. `modules` are saved in checkpoints; `step` returns figures to show."""

    name: str
    steps: int
    modules: dict[str, nn.Module]
    optimizer: torch.optim.Optimizer
    generator: torch.Generator

    def step(self, progress: float) -> dict[str, float]: ...


def fit(task: Task, folder: Path, *, minutes: float | None = None, save_after: float = 120) -> dict:
    """Trains `task` to its last step, from its newest checkpoint if there is one.

    Args:
        folder: checkpoints and `<name>.json` (steps, seconds, figures) are written here.
        minutes: a limit on training time; the schedules then end at whichever comes first.
        save_after: seconds between checkpoints.
    Returns:
        The record written beside the checkpoint.
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{task.name}.pt"
    step, seconds, figures = _resume(task, checkpoint)
    saved = time.perf_counter()
    with tqdm(
        total=task.steps, initial=step, desc=task.name, mininterval=5, disable=not is_first()
    ) as bar:
        while step < task.steps:
            started = time.perf_counter()
            progress = step / task.steps
            if minutes is not None:
                spent = averaged(torch.tensor(seconds, dtype=torch.float64)).item()
                progress = max(progress, spent / (60 * minutes))
            if progress >= 1:
                break
            new = task.step(progress)
            figures |= {k: 0.98 * figures.get(k, v) + 0.02 * v for k, v in new.items()}
            step += 1
            seconds += time.perf_counter() - started
            bar.update()
            if step % 20 == 0:
                bar.set_postfix({k: f"{v:.3f}" for k, v in figures.items()})
            if time.perf_counter() - saved > save_after:
                _save(task, checkpoint, step, seconds, figures)
                saved = time.perf_counter()
    _save(task, checkpoint, step, seconds, figures)
    record = {"steps": step, "seconds": round(seconds), "figures": figures}
    if is_first():
        (folder / f"{task.name}.json").write_text(json.dumps(record, indent=2) + "\n")
    return record


def _save(task: Task, path: Path, step: int, seconds: float, figures: dict[str, float]) -> None:
    if not is_first():
        return
    partial = path.with_suffix(".part")
    torch.save(
        {
            "modules": {name: module.state_dict() for name, module in task.modules.items()},
            "optimizer": task.optimizer.state_dict(),
            "generator": task.generator.get_state(),
            "position": {"step": step, "seconds": seconds, "figures": figures},
        },
        partial,
    )
    partial.replace(path)


def _resume(task: Task, path: Path) -> tuple[int, float, dict[str, float]]:
    if not path.exists():
        return 0, 0.0, {}
    saved = torch.load(path, weights_only=True, map_location="cpu")
    for name, module in task.modules.items():
        module.load_state_dict(saved["modules"][name])
    task.optimizer.load_state_dict(saved["optimizer"])
    task.generator.set_state(saved["generator"])
    position = saved["position"]
    return position["step"], position["seconds"], position["figures"]


def restore(task: Task, folder: Path) -> None:
    """Loads the newest checkpoint of `task`.

    Raises:
        FileNotFoundError: it was never trained.
    """
    path = folder / f"{task.name}.pt"
    if not path.exists():
        raise FileNotFoundError(f"{task.name} has no checkpoint yet: train it first ({path.name}).")
    _resume(task, path)


def set_lr(optimizer: torch.optim.Optimizer, progress: float, peak: float) -> None:
    """Linear warm-up over 2 % of the run, `peak` up to 80 %, then a straight line to 2 % of it."""
    scale = min(1.0, progress / 0.02 + 0.02, 0.02 + 0.98 * (1 - progress) / 0.2)
    for group in optimizer.param_groups:
        group["lr"] = peak * scale


class WeightAverage(nn.Module):
    """An exponential moving average of another module's weights and buffers."""

    def __init__(self, module: nn.Module, decay: float = 0.998):
        super().__init__()
        self.decay = decay
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: nn.Module, progress: float) -> None:
        """Moves the average towards `module`; short memory early in the run."""
        decay = min(self.decay, 0.9 + progress * 5)
        own, new = self.module.state_dict(), module.state_dict()
        floating = [k for k, v in own.items() if v.is_floating_point()]
        torch._foreach_lerp_([own[k] for k in floating], [new[k] for k in floating], 1 - decay)
        for key in own.keys() - set(floating):
            own[key].copy_(new[key])


def attribute_loss(logits: list[Tensor], indices: Tensor) -> Tensor:
    """Mean cross-entropy (scalar) of one (n, values) logit tensor per attribute."""
    losses = [
        nn.functional.cross_entropy(values.float(), indices[:, k])
        for k, values in enumerate(logits)
    ]
    return torch.stack(losses).mean()
