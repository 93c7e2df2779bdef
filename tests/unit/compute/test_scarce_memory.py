"""Less at once when memory runs out: the same results, and always an end."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch

from tokenopt_core import ClipImageLoss, ClipLoss, OptimizeConfig, optimize
from tokenopt_core.compute.memory import Chunks, in_chunks, is_out_of_memory, release_free_memory
from tokenopt_core.optimize.starts import random_features

HUGE = 2**60  # bytes, more than any computer has


def error_of(work) -> BaseException:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        work()
    return caught.value


def test_what_runs_out_of_memory_is_known_from_other_errors():
    assert is_out_of_memory(error_of(lambda: torch.empty(HUGE, dtype=torch.uint8)))
    assert is_out_of_memory(error_of(lambda: np.empty(HUGE, dtype=np.uint8)))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"))
    handle = "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    assert is_out_of_memory(RuntimeError(f"CUDA error: {handle}"))
    assert not is_out_of_memory(error_of(lambda: torch.ones(2) @ torch.ones(3)))
    assert not is_out_of_memory(ValueError("out of memory, said the user's prompt"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc holds so much")
def test_memory_that_was_freed_goes_back_to_the_system():
    blocks = [bytearray(2**16) for _ in range(2000)]
    del blocks[:-1]  # the last one keeps the heap from shrinking by itself
    before = resident()
    release_free_memory()
    assert before - resident() > 60 * 2**20


def resident() -> int:
    """Bytes of this process that lie in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("room", [1, 3, 5, 100])
def test_every_row_once_in_order_and_no_more_than_there_is_room_for(room):
    asked = []

    def work(rows: slice) -> list[int]:
        asked.append(rows.stop - rows.start)
        if asked[-1] > room:
            raise torch.OutOfMemoryError("no room")
        return list(range(rows.start, rows.stop))

    found = list(Chunks(16).parts(37, work))
    assert sum((made for _, made in found), []) == list(range(37))
    assert all(rows.stop - rows.start == len(made) <= room for rows, made in found)
    assert sum(count > room for count in asked) <= 4  # it does not try again what has failed


def test_what_does_not_fit_alone_ends_it_and_so_does_any_other_error():
    asked = []

    def work(rows: slice):
        asked.append(rows.stop - rows.start)
        raise error

    for error, tries in ((MemoryError(), [8, 4, 2, 1]), (ValueError("wrong"), [8])):
        asked.clear()
        with pytest.raises(type(error)) as caught:
            list(Chunks(8).parts(20, work))
        assert caught.value is error
        assert asked == tries


def test_nothing_of_the_failed_part_is_held_while_less_is_tried():
    held = []

    def work(rows: slice) -> None:
        assert not any(reference() is not None for reference in held)
        activations = torch.zeros(rows.stop - rows.start)
        held.append(weakref.ref(activations))
        if len(activations) > 2:
            raise torch.OutOfMemoryError("no room")

    list(Chunks(8).parts(8, work))
    assert len(held) == 2 + 4


@pytest.fixture
def saved_bytes():
    """Runs something and tells how many bytes autograd keeps for the backward pass."""

    def measure(work) -> int:
        kept = {}

        def pack(tensor):
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            result = work()
        assert result.requires_grad
        return sum(kept.values())

    return measure


@pytest.mark.parametrize("chunk_size", [1, 3])
def test_crops_in_turn_give_the_same_loss_and_gradient(guide, chunk_size):
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    target = images[:1].flip(3)

    def look(loss):
        variable = images.clone().requires_grad_()
        total = sum(part(variable) for part in loss)
        return total.detach(), torch.autograd.grad(total.sum(), variable)[0]

    def losses(**more):
        texts = ClipLoss(guide, "a red circle | blue:-0.5", "dark", crops=4, **more)
        return [loss.seeded([3, 4]) for loss in (texts, ClipImageLoss(guide, target, **more))]

    for expected, found in zip(look(losses()), look(losses(chunk_size=chunk_size)), strict=True):
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-4)


def test_a_sparing_run_is_the_same_run(tokenizer, guide):
    def run(seeds, **more):
        low_memory = bool(more)
        loss = ClipLoss(guide, "a red circle", crops=3, **more)
        config = OptimizeConfig(
            steps=8, lr=0.05, ema_decay=0.9, token_noise=0.02, reset_every=3, low_memory=low_memory
        )
        start = random_features(tokenizer.spec, seeds)
        same = torch.zeros(1)
        return list(optimize(tokenizer, loss, start, config, seeds=seeds, reset=lambda x: x + same))

    plain, spared = run([5]), run([5], chunk_size=3)  # the same passes: the same bits
    for one, other in zip(plain, spared, strict=True):
        assert torch.equal(one.loss, other.loss)
        assert torch.equal(one.images, other.images)
    plain, spared = run([5, 6, 7]), run([5, 6, 7], chunk_size=1)
    torch.testing.assert_close(spared[0].loss, plain[0].loss, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(spared[-1].result, plain[-1].result, atol=1e-3, rtol=1e-3)


def test_in_turn_keeps_nothing_for_the_gradient_but_what_it_was_given(
    tokenizer, guide, saved_bytes
):
    tokens = random_features(tokenizer.spec, range(4)).requires_grad_()
    pictures = torch.rand(8, 3, 32, 32).requires_grad_()
    for work, rows in ((tokenizer.decode, tokens), (guide.encode_image, pictures)):
        plain = saved_bytes(lambda work=work, rows=rows: work(rows))
        spared = saved_bytes(lambda work=work, rows=rows: in_chunks(work, 1, rows))
        assert spared <= rows.untyped_storage().nbytes() < plain / 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
def test_real_lack_of_memory():
    """A process whose address space is limited decodes, with gradients too, all the same."""
    code = """
import logging, resource
import torch
torch.set_num_threads(1)
from tokenopt_core.compute.memory import Chunks, is_out_of_memory
from tokenopt_core.tokenizers import load_tokenizer

logging.basicConfig(level=logging.WARNING)
tokenizer = load_tokenizer("demo")
tokens = torch.randn(128, 16, tokenizer.spec.token_size, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    expected = tokenizer.decode(tokens[120:])
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + 100 * 2**20,) * 2)
with torch.no_grad():
    parts = Chunks(128).parts(128, lambda rows: tokenizer.decode(tokens[rows]).mean((1, 2, 3)))
    means = torch.cat([mean for _, mean in parts])
assert len(means) == 128
torch.testing.assert_close(means[120:], expected.mean((1, 2, 3)))
try:
    torch.empty(2**30, dtype=torch.uint8)
except RuntimeError as error:
    assert is_out_of_memory(error), error
else:
    raise AssertionError("the limit was none")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "Memory did not suffice for 128 images at once: going on with 64" in run.stderr
