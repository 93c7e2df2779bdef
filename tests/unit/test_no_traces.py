"""The library changes nothing that other code of the process relies on."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import torch

from tokenopt_core import ClipImageLoss, ClipLoss, OptimizeConfig, WeightedSum, load_guide, optimize
from tokenopt_core.study.perturb import SearchConfig, perturb_search

CONFIG = OptimizeConfig(steps=3, token_noise=0.1)

STATE = Path(__file__).parents[1] / "server" / "hostile_pack" / "process_state.py"

CODE = f"""
import importlib.util, sys, tempfile
from pathlib import Path
import torch, numpy, PIL.Image, PIL.ImageFile, safetensors.torch

spec = importlib.util.spec_from_file_location("process_state", {str(STATE)!r})
state = importlib.util.module_from_spec(spec)
spec.loader.exec_module(state)

def same(before, what):
    after = state.settings()
    changed = {{name: (old, after[name]) for name, old in before.items() if after[name] != old}}
    assert not changed, (what, changed)

before = state.settings()
import tokenopt_core as core
same(before, "import")
import open_clip  # what others set at their own import is theirs
before = state.settings()
tokenizer, guide = core.load_tokenizer("demo"), core.load_guide("demo")
same(before, "loading")
from tokenopt_core.demo.judge import judge
from tokenopt_core.demo.world import render, sample
from tokenopt_core.study.importance import importance, responses
from tokenopt_core.study.influence import pixel_influence
from tokenopt_core.study.perturb import SearchConfig, perturb_search
from tokenopt_core.compute.memory import Chunks
from tokenopt_core.optimize.starts import best_of, random_codes, random_features
from tokenopt_core.tokens.files import load_tokens, save_tokens

scenes = render(sample(4, 0))
images = scenes[0] if isinstance(scenes, tuple) else scenes
judge(images)
tokens = tokenizer.quantize(tokenizer.encode(images))
loss = core.ClipLoss(guide, "a red circle | dark:-0.5", crops=2)
for changes in ({{}}, {{"low_memory": True}}, {{"precision": "bfloat16"}}, {{"quantize": False}}):
    config = core.OptimizeConfig(steps=2, token_noise=0.1, ema_decay=0.9, **changes)
    steps = core.optimize(tokenizer, loss, tokens.tokens[:1], config, seeds=3)
    next(steps)
    same(before, ("in the middle of a run", changes))
    list(steps)
    same(before, ("a run", changes))
random_codes(tokenizer, [1])
best_of(tokenizer, loss, random_features(tokenizer.spec, [1, 2])[None])
core.embed_images(guide, images)
pixel_influence(tokenizer, tokens.tokens[:1], samples=1)
importance(tokens.tokens, torch.tensor([0, 1, 0, 1]), 2)
responses(tokenizer, tokens.tokens[:1], lambda images: images.mean((2, 3)))
for method in ("exact", "guided"):
    config = SearchConfig(method=method, share=0.01)
    list(perturb_search(tokenizer, tokens.codes[:1], [3], config, loss=loss))
same(before, "searches")

def small(rows):
    if rows.stop - rows.start > 1:
        raise MemoryError
    raise ValueError("an error")

try:
    list(Chunks(2).parts(2, small))
except ValueError:
    pass
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "a.tokens.safetensors")
    save_tokens(path, tokenizer, tokens.tokens, True, "demo")
    load_tokens(path, tokenizer, "demo")
same(before, "files and errors")
"""


def test_importing_loading_running_and_failing_leave_every_setting_as_it_was():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]


def test_models_and_losses_go_away_with_their_last_user(clip_folder, tokenizer):
    """No circle of references: ComfyUI's memory management stumbles over models that live on."""
    guide = load_guide(clip_folder)
    alive = weakref.ref(guide)
    image = torch.rand(1, 3, 32, 32)
    gc.collect()
    gc.disable()
    try:
        texts = ClipLoss(guide, "a red circle", "dark", crops=2)
        parts = [(1, texts), (1, ClipImageLoss(guide, image))]
        steps = optimize(tokenizer, WeightedSum(parts), torch.randn(1, 6, 12), CONFIG)
        next(steps)
        codes = torch.zeros(1, 6, dtype=torch.long)
        search = perturb_search(tokenizer, codes, [1], SearchConfig(top_k=1), loss=texts)
        next(search)
        del guide, texts, parts, steps, search
        assert alive() is None
    finally:
        gc.enable()
