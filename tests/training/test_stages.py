"""Small runs of the stages that train a tokenizer as TiTok was trained."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from tokenopt_core.demo.still_life import render, sample, world
from tokenopt_core.tokenizers import TiTok, load_tokenizer, save_tokenizer
from tokenopt_core.tokenizers.spec import PixelStage, TokenizerSpec, ViTSize
from training import pixels, proxy, single
from training import vqgan as vqgan_stage
from training.loop import fit
from training.pixels import PixelTask
from training.proxy import ProxyTask
from training.recipe.stages import called
from training.scenes import ScenePool
from training.single import SingleStageTask
from training.vqgan import Vqgan, VqganTask, exported

ROOT = Path(__file__).parents[2]
STAGE = PixelStage(
    hidden_channels=8,
    channel_mult=(1, 1, 1, 1, 1),
    num_res_blocks=1,
    z_channels=8,
    num_embeddings=32,
    norm_groups=4,
)
VQGAN = TokenizerSpec(
    name="small",
    layout="maskgit-vqgan",
    image_size=32,
    num_tokens=4,
    token_size=8,
    codebook_size=32,
    pixel_stage=STAGE,
)
SPEC = TokenizerSpec(
    name="small",
    image_size=32,
    num_tokens=4,
    token_size=4,
    codebook_size=16,
    l2_normalized=True,
    encoder=ViTSize(width=32, layers=1, heads=2),
    decoder=ViTSize(width=32, layers=1, heads=2),
    encoder_patch=16,
    decoder_patch=16,
    legacy=True,
    pixel_stage=STAGE,
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make_pool() -> ScenePool:
    scenes = sample(16, seed=3)
    images = F.avg_pool2d(render(scenes, seed=3), 4)
    return ScenePool((images * 255).round().byte(), scenes.indices)


def some_vqgan(pool: ScenePool) -> Vqgan:
    """A network whose codes tell the scenes apart."""
    torch.manual_seed(1)
    network = Vqgan(VQGAN).requires_grad_(False).eval()
    images = pool.images.float() / 255
    network.quantize.embedding.weight.copy_(network.encode(images).flatten(0, 1)[:32])
    return network


@pytest.fixture(scope="module")
def pool():
    return make_pool()


@pytest.fixture(scope="module")
def vqgan(pool):
    return some_vqgan(pool)


DIRECT = replace(SPEC, legacy=False, pixel_stage=None)


def error(images, targets):
    return F.l1_loss(images, targets)


def vqgan_task(pool, steps=60):
    return VqganTask(pool, perceptual=error, spec=VQGAN, steps=steps)


def proxy_task(pool, vqgan, steps=60):
    return ProxyTask(pool, vqgan, spec=SPEC, steps=steps, batch=8)


def pixel_task(pool, steps=60):
    torch.manual_seed(2)
    return PixelTask(pool, TiTok(SPEC), perceptual=error, steps=steps, batch=4)


def single_task(pool, steps=60):
    return SingleStageTask(pool, perceptual=error, spec=DIRECT, steps=steps, batch=8)


def test_the_vqgan_learns_to_draw(pool, tmp_path):
    task = vqgan_task(pool)
    start = task.step(0.0)["psnr"]
    fit(task, tmp_path)
    assert task.step(0.95)["psnr"] > start + 2
    assert task.codebook.started
    assert torch.equal(exported(task).quantize.embedding.weight, task.codebook.embedding.weight)


def test_stage_1_learns_the_codes(pool, vqgan, tmp_path):
    task = proxy_task(pool, vqgan)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    start = task.step(0.0)["cross_entropy"]
    fit(task, tmp_path)
    assert task.step(0.9)["cross_entropy"] < 0.8 * start
    for name, value in task.model.state_dict().items():
        if name.startswith("pixel_"):
            assert torch.equal(value, before[name]), name
    decoder = vqgan.decoder.state_dict()
    assert all(torch.equal(task.model.pixel_decoder.state_dict()[k], decoder[k]) for k in decoder)


def test_stage_2_trains_only_what_draws_and_the_discriminator_late(pool):
    task = pixel_task(pool)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    judge = {name: value.clone() for name, value in task.discriminator.state_dict().items()}
    for _ in range(2):
        assert "fake" not in task.step(0.3)
    assert all(torch.equal(v, judge[k]) for k, v in task.discriminator.state_dict().items())
    for _ in range(2):
        assert {"real", "fake"} <= task.step(0.8).keys()
    assert not torch.equal(task.discriminator.block_in[0].weight, judge["block_in.0.weight"])
    for name, value in task.model.named_parameters():
        frozen = not name.startswith(("decoder.", "pixel_"))
        assert torch.equal(value, before[name]) == frozen, name


def test_one_stage_learns_to_draw(pool, tmp_path):
    task = single_task(pool)
    codes = task.model.quantize.embedding.weight.clone()
    start = task.step(0.0)["psnr"]
    fit(task, tmp_path)
    assert task.step(0.95)["psnr"] > start + 2
    assert task.start.started
    assert not torch.equal(task.model.quantize.embedding.weight, codes)


@pytest.mark.parametrize("stage", ["vqgan", "stage1", "stage2", "single"])
def test_a_killed_run_goes_on_as_if_nothing_had_been(pool, vqgan, tmp_path, stage):
    make = {
        "vqgan": lambda: vqgan_task(pool, steps=12),
        "stage1": lambda: proxy_task(pool, vqgan, steps=12),
        "stage2": lambda: pixel_task(pool, steps=12),
        "single": lambda: single_task(pool, steps=12),
    }[stage]
    whole = make()
    fit(whole, tmp_path / "whole")
    killed, step, calls = make(), None, 0
    step = killed.step

    def failing(progress):
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return step(progress)

    killed.step = failing
    with pytest.raises(KeyboardInterrupt):
        fit(killed, tmp_path / "killed", save_after=0)
    resumed = make()
    fit(resumed, tmp_path / "killed")
    for name, module in whole.modules.items():
        other = resumed.modules[name].state_dict()
        for key, value in module.state_dict().items():
            assert torch.allclose(value.float(), other[key].float(), atol=1e-6), f"{name}: {key}"


def test_the_result_is_an_ordinary_tokenizer(pool, vqgan, tmp_path):
    """It has the layout of L-32, and loads through the same loader."""
    task = proxy_task(pool, vqgan)
    for _ in range(3):
        task.step(0.5)
    trained = task.average.module.eval()
    save_tokenizer(trained, tmp_path)
    loaded = load_tokenizer(tmp_path)
    assert loaded.spec.pixel_stage.norm_groups == 4
    assert loaded.spec.legacy
    images, _ = pool.batch(2, torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = trained.decode(trained.quantize(trained.encode(images)).tokens)
        found = loaded.decode(loaded.quantize(loaded.encode(images)).tokens)
    assert torch.allclose(found, expected, atol=1e-4)


STEPS_OF_TWO = 8


def make_task(stage: str):
    """A stage in float32: sums of 16 bits depend on how many images a process has."""
    for module in (vqgan_stage, proxy, pixels, single):
        module.in_bfloat16 = called
    pool = make_pool()
    if stage == "stage1":
        return proxy_task(pool, some_vqgan(pool))
    return {"vqgan": vqgan_task, "stage2": pixel_task, "single": single_task}[stage](pool)


@pytest.mark.parametrize("stage", ["vqgan", "stage1", "stage2", "single"])
def test_two_processes_train_as_one(tmp_path, monkeypatch, stage):
    for module in (vqgan_stage, proxy, pixels, single):
        monkeypatch.setattr(module, "in_bfloat16", called)  # restored after the test
    alone = make_task(stage)
    start = {name: value.clone() for name, value in alone.model.named_parameters()}
    for step in range(STEPS_OF_TWO):
        alone.step(step / STEPS_OF_TWO)
    path = tmp_path / "weights.pt"
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    module = ["-m", "tests.training.in_two_processes", stage, str(path)]
    # The file is written last; how the processes end after it is torch's own affair.
    run = subprocess.run([sys.executable, *command, *module], capture_output=True, cwd=ROOT)
    assert path.is_file(), run.stderr.decode()
    found = torch.load(path, weights_only=True)
    moved, apart = 0.0, 0.0
    for name, value in alone.model.named_parameters():
        moved += (value - start[name]).abs().sum().item()
        apart += (value - found[name]).abs().sum().item()
    assert apart < 0.02 * moved


def test_every_stage_trains_on_an_accelerator():
    """A pretended one, which refuses to compute with tensors of the CPU."""
    command = [sys.executable, "-m", "tests.training.on_pretended_device"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert found.stdout.split() == ["vqgan", "stage1", "stage2", "single"], found.stderr


def test_scenes_are_the_same_from_any_number_of_processes():
    one = ScenePool.render_parallel(6, 5, world, chunk=6)
    two = ScenePool.render_parallel(9, 5, world, chunk=6)
    assert torch.equal(one.indices, two.indices[:6])
    assert torch.equal(one.images, two.images[:6])
    assert two.images.shape == (9, 3, 128, 128)
