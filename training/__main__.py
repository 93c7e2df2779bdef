"""`python -m training`: trains, exports and measures the demo models. Resumes where it stopped.

python -m training                       everything, on two CPU cores in about six hours
python -m training --only tokenizer      one stage: scenes, judge, features, tokenizer, clip,
                                         clip-blends, export, generator, measure
python -m training --minutes 30          at most that long for each model (shorter schedules)
python -m training --only grid vae       the comparators of benchmarks/science, not shipped
python -m training --only vqgan          the next demo world's models, one stage at a time:
                                         reader, vqgan, stage1, stage2, single, report
torchrun --nproc-per-node 2 -m training --only vqgan         the same by two processes
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from tokenopt_core.tokenizers import load_tokenizer

from . import stills
from .blends import BlendTask
from .classifiers import FeatureNet, FeatureTask, JudgeTask
from .clip import ClipTask
from .evaluate import SHIPPED, checksums, generator_figures, measure
from .exchange import ExchangeTask
from .export import export_clip, export_judge, export_tokenizer, reconstructed, write_json
from .generator import GeneratorTask, export_generator, scene_codes
from .grid import GridTask
from .loop import fit, restore
from .scenes import ScenePool
from .tokenizer import TokenizerTask, start_from
from .vae import VaeTask, export_vae

RUNS = Path(__file__).parent / "runs"
STAGES = (
    "judge",
    "features",
    "tokenizer",
    "tokenizer-exchange",
    "clip",
    "clip-blends",
    "export",
    "generator",
    "measure",
)
COMPARATORS = {"grid": GridTask, "vae": VaeTask}  # only when asked for


def main() -> None:
    """Runs the stages asked for, in order."""
    parser = argparse.ArgumentParser(
        prog="python -m training", description="Train, export and measure the demo models."
    )
    parser.add_argument(
        "--only", nargs="+", choices=(*STAGES, *COMPARATORS, *stills.STAGES), default=STAGES
    )
    parser.add_argument("--minutes", type=float, help="at most that long for each model")
    parser.add_argument("--warm", action="store_true", help="start from the shipped weights")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--scenes", type=int, default=100_000, help="size of the scene pool")
    parser.add_argument("--device", default="cpu", help="of the next demo world's stages")
    parser.add_argument("--batch", type=int, help="images a step, of the next demo world's stages")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for stage in (*STAGES, *COMPARATORS, *stills.STAGES):
        if stage in arguments.only:
            _stage(stage, arguments)


def _stage(stage: str, arguments: argparse.Namespace) -> None:
    if stage == "export":
        _export(arguments)
    elif stage == "generator":
        _generator(arguments)
    elif stage == "measure":
        _measure()
    elif stage in COMPARATORS:
        _comparator(stage, arguments)
    elif stage in stills.STAGES:
        stills.run(
            stage,
            RUNS,
            scenes=arguments.scenes,
            minutes=arguments.minutes,
            device=arguments.device,
            batch=arguments.batch,
        )
    else:
        task = _task(stage, _pool(arguments))
        if arguments.warm and not (RUNS / f"{task.name}.pt").exists():
            _start_from_shipped(stage, task)
        print(stage, fit(task, RUNS, minutes=arguments.minutes))


def _comparator(stage: str, arguments: argparse.Namespace) -> None:
    """Trains a comparator from the shipped tokenizer and writes it to its folder in the runs."""
    pool = _pool(arguments)
    task = COMPARATORS[stage](pool, _features(pool))
    print(stage, fit(task, RUNS, minutes=arguments.minutes))
    write = export_vae if stage == "vae" else export_tokenizer
    write(task, RUNS / stage)


def _generator(arguments: argparse.Namespace) -> None:
    """Trains the generator on codes of the shipped tokenizer, ships it and says what it can do."""
    tokenizer = load_tokenizer("demo")
    codes, labels = scene_codes(RUNS, tokenizer, arguments.scenes, seed=2000)
    task = GeneratorTask(tokenizer, codes, labels)
    print(task.name, fit(task, RUNS, minutes=arguments.minutes))
    export_generator(task, SHIPPED / "generator")
    print(json.dumps(generator_figures(tokenizer), indent=2))


def _start_from_shipped(stage: str, task) -> None:
    """Loads the weights in `tokenopt_core/demo`; there are none for the feature network."""
    if stage == "tokenizer":
        start_from(task, load_tokenizer("demo"))
    elif stage in ("clip", "judge"):
        names = {"clip": "clip/open_clip_model", "judge": "judge/model"}
        state = load_file(SHIPPED / f"{names[stage]}.safetensors")
        module = task.clip if stage == "clip" else task.net
        for target in (module, task.average.module):
            target.load_state_dict({k: v.to(target.state_dict()[k]) for k, v in state.items()})


def _pool(arguments: argparse.Namespace) -> ScenePool:
    return ScenePool.cached(RUNS / "scenes.pt", arguments.scenes, seed=1000)


def _task(stage: str, pool: ScenePool):
    if stage == "judge":
        return JudgeTask(pool)
    if stage == "features":
        return FeatureTask(pool)
    if stage == "tokenizer":
        return TokenizerTask(pool, _features(pool))
    if stage == "tokenizer-exchange":
        return _second_tokenizer(pool)
    if stage == "clip":
        return ClipTask(pool)
    return _second_clip(pool)


def _features(pool: ScenePool) -> FeatureNet:
    task = FeatureTask(pool)
    restore(task, RUNS)
    return task.net


def _second_tokenizer(pool: ScenePool) -> ExchangeTask:
    """The tokenizer goes on and learns to keep lighting and focus in one token each."""
    task = ExchangeTask(pool, _features(pool), steps=9000, seed=31)
    first = _restored("tokenizer", pool)
    for name, module in task.modules.items():
        module.load_state_dict(first.modules[name].state_dict())
    return task


def _second_clip(pool: ScenePool) -> ClipTask:
    """CLIP goes on with half of its images as the tokenizer shows them."""
    export_tokenizer(_restored("tokenizer-exchange", pool), RUNS / "tokenizer")
    tokenizer = load_tokenizer(RUNS / "tokenizer")
    shown = reconstructed(pool, tokenizer, _features(pool), len(pool.indices) // 8, seed=21)
    mixed = pool.merged(shown, share=0.5)
    task = BlendTask(mixed, steps=4000, seed=12, name="clip-blends", peak_lr=1e-3)
    first = _restored("clip", pool)
    for name, module in task.modules.items():
        module.load_state_dict(first.modules[name].state_dict())
    task.clip.load_state_dict(first.average.module.state_dict())
    return task


def _restored(stage: str, pool: ScenePool):
    task = _task(stage, pool)
    restore(task, RUNS)
    return task


def _export(arguments: argparse.Namespace) -> None:
    pool = _pool(arguments)
    second = (RUNS / "clip-blends.pt").exists()
    clip = ClipTask(pool, name="clip-blends" if second else "clip")
    restore(clip, RUNS)
    export_clip(clip, SHIPPED / "clip")
    export_tokenizer(_restored("tokenizer-exchange", pool), SHIPPED / "tokenizer")
    export_judge(_restored("judge", pool), SHIPPED / "judge")


def _measure() -> None:
    """Writes `tokenopt_core/demo/record.json`: figures, training time, versions."""
    started = time.perf_counter()
    figures = measure()
    runs = {p.stem: json.loads(p.read_text()) for p in sorted(RUNS.glob("*.json"))}
    record = {
        "figures": figures,
        "weights": checksums(),
        "training": {
            name: run for name, run in runs.items() if "seconds" in run and name not in COMPARATORS
        },
        "machine": {
            "device": "CPU",
            "threads": torch.get_num_threads(),
            "platform": platform.platform(terse=True),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "measured_in_seconds": round(time.perf_counter() - started),
    }
    write_json(record, SHIPPED / "record.json")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
