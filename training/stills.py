"""The stages of the next demo world's models, each from the files that the one before it wrote.

reader    reads attributes, to measure with; a few minutes
vqgan     codes and a pixel decoder
stage1    the tokenizer learns the codes; only after the VQGAN keeps shape and colour
stage2    it learns to draw
report    what the newest checkpoints keep of fresh scenes
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from tokenopt_core.demo.still_life import world
from tokenopt_core.tokenizers import TiTok, Tokenizer, load_tokenizer
from tokenopt_core.tokenizers.config import config_of

from .export import write_json, write_weights
from .loop import fit, restore
from .pixels import PixelTask
from .processes import is_first, start, wait
from .proxy import SPEC, ProxyTask
from .reader import Reader, ReaderTask, kept
from .scenes import ScenePool
from .single import SingleStageTask
from .vqgan import Vqgan, VqganTask, exported, load_vqgan

STAGES = ("reader", "vqgan", "stage1", "stage2", "single", "report")
WEIGHTS = Path(__file__).parent / "weights"  # of finished stages; committed until the next is done
FRESH = 256  # scenes, of a seed that no training sees


def run(
    stage: str,
    runs: Path,
    *,
    scenes: int,
    minutes: float | None = None,
    device: str = "cpu",
    batch: int | None = None,
) -> None:
    """Trains one stage, from its newest checkpoint if there is one, and writes its result.

    Args:
        runs: checkpoints and results are written here.
        scenes: size of the pool of scenes; kept in `runs`.
        minutes: a limit on training time.
        device: where torch trains; "cuda" takes a few minutes for each stage.
        batch: images for each step, if not the stage's own number.
    """
    if stage == "report":
        return report(runs)
    start(device)
    path = runs / f"stills-{scenes}.pt"
    if is_first():
        ScenePool.cached(path, scenes, 2000, world)
    wait()
    pool = ScenePool.cached(path, scenes, 2000, world).to(device)
    task = _task(stage, pool, runs, {} if batch is None else {"batch": batch})
    record = fit(task, runs, minutes=minutes)
    if not is_first():
        return None
    print(stage, record)
    if stage == "reader":
        write_weights(task.net.state_dict(), runs / "reader.safetensors")
    elif stage == "vqgan":
        write_weights(exported(task).state_dict(), runs / "vqgan.safetensors")
    else:
        write_weights(task.average.module.state_dict(), runs / stage / "model.safetensors")
        write_json(config_of(task.model.spec), runs / stage / "config.json")
    return None


def result(name: str, runs: Path) -> Path:
    """A finished stage's file or folder: in `runs`, or committed in `training/weights`.

    Raises:
        FileNotFoundError: the stage was never finished.
    """
    for folder in (runs, WEIGHTS):
        if (folder / name).exists():
            return folder / name
    stage = name.removesuffix(".safetensors")
    raise FileNotFoundError(f"{stage} has no result yet: run `python -m training --only {stage}`.")


def _task(stage: str, pool: ScenePool, runs: Path, settings: dict):
    if stage == "reader":
        return ReaderTask(pool, **settings)
    if stage == "vqgan":
        return VqganTask(pool, start=_committed(), **settings)
    if stage == "stage1":
        return ProxyTask(pool, load_vqgan(result("vqgan.safetensors", runs)), **settings)
    if stage == "single":
        return SingleStageTask(pool, **settings)
    model = TiTok(SPEC)
    trained = load_file(result("stage1", runs) / "model.safetensors")
    model.load_state_dict({key: value.float() for key, value in trained.items()})
    return PixelTask(pool, model, **settings)


def _committed() -> Vqgan | None:
    path = WEIGHTS / "vqgan.safetensors"
    return load_vqgan(path) if path.exists() else None


def report(runs: Path) -> None:
    """Prints dB and kept attributes of fresh scenes, for each model that there is, and saves
    original beside result as a picture in `runs`."""
    reader = Reader()
    weights = load_file(result("reader.safetensors", runs))
    reader.load_state_dict({key: value.float() for key, value in weights.items()})
    scenes = world.sample(FRESH, seed=91)
    images = world.render(scenes, seed=91)
    _print("scenes", images, images, scenes.indices, reader)
    for name, model in _models(runs):
        shown = torch.cat([_shown(model, some) for some in images.split(8)])
        _print(name, shown, images, scenes.indices, reader)
        _save_pairs(images[:32], shown[:32], runs / f"{name}.png")


def _models(runs: Path) -> list[tuple[str, Tokenizer]]:
    models: list[tuple[str, Tokenizer]] = []
    if (runs / "vqgan.pt").exists():
        task = VqganTask(ScenePool(torch.empty(0), torch.empty(0)))
        restore(task, runs)
        models.append(("vqgan", exported(task).eval()))
    models += [
        (name, load_tokenizer(runs / name))
        for name in ("stage1", "stage2")
        if (runs / name).exists()
    ]
    return models


@torch.no_grad()
def _shown(model: Tokenizer, images: Tensor) -> Tensor:
    return model.decode(model.quantize(model.encode(images)).tokens).clamp(0, 1)


def _print(name: str, shown: Tensor, images: Tensor, indices: Tensor, reader: Reader) -> None:
    error = (shown - images).square().mean((1, 2, 3)).clamp(min=1e-10)
    figures = {"dB": (-10 * error.log10()).mean().item()} | kept(reader.eval(), shown, indices)
    print(name, ", ".join(f"{key} {value:.3f}" for key, value in figures.items()), flush=True)


def _save_pairs(images: Tensor, shown: Tensor, path: Path) -> None:
    from PIL import Image

    pairs = torch.stack([images, shown], dim=1).flatten(0, 1)  # (2 n, 3, h, w)
    n, _, h, w = pairs.shape
    grid = pairs.view(n // 8, 8, 3, h, w).permute(0, 3, 1, 4, 2).reshape(n // 8 * h, 8 * w, 3)
    Image.fromarray((grid * 255).round().byte().numpy()).save(path)
