"""A search holds one batch of images, whatever it is asked for, and can be ended at any time."""

from __future__ import annotations

import copy

import pytest
import torch

from tokenopt_core.study.perturb import METHODS, SearchConfig, perturb_search


@pytest.fixture
def watched(tokenizer):
    """The tokenizer, and the sizes of all batches that it decodes."""
    sizes: list[int] = []
    spy = copy.copy(tokenizer)

    def decode(tokens, text=None):
        sizes.append(len(tokens))
        return tokenizer.decode(tokens, text)

    spy.decode = decode
    return spy, sizes


@pytest.mark.parametrize("method", METHODS)
def test_no_decode_is_larger_than_the_batch(watched, method):
    spy, sizes = watched
    codes = torch.arange(3 * 6).view(3, 6)
    config = SearchConfig(top_k=20, batch=6, method=method, share=0.5)
    found = list(perturb_search(spy, codes, [1, 5], config))
    assert len(found) == 6
    assert max(sizes) == 6
    least = 63 if method == "exact" else 32
    assert sum(sizes) >= 6 * (least + 20)


def test_results_come_one_by_one_and_the_rest_is_not_computed(watched):
    spy, sizes = watched
    search = perturb_search(spy, torch.zeros(1, 6, dtype=torch.long), range(6))
    next(search)
    assert sum(sizes) <= 1 + 63 + 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_progress_reaches_its_end_and_can_stop_the_search(tokenizer, method, dtype):
    seen = []
    config = SearchConfig(top_k=2, method=method, share=0.3, dtype=dtype)
    codes = torch.zeros(2, 6, dtype=torch.long)
    list(perturb_search(tokenizer, codes, [0, 5], config, progress=lambda *at: seen.append(at)))
    done, totals = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]}

    def stop(done: int, total: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list(perturb_search(tokenizer, codes, [0], config, progress=stop))


def test_a_device_without_memory_gets_smaller_batches(watched):
    spy, sizes = watched
    plain = spy.decode

    def small(tokens, text=None):
        if len(tokens) > 4:
            raise torch.OutOfMemoryError("no room")
        return plain(tokens, text)

    codes = torch.zeros(1, 6, dtype=torch.long)
    (expected,) = perturb_search(spy, codes, [3], SearchConfig(top_k=9))
    sizes.clear()
    spy.decode = small
    (found,) = perturb_search(spy, codes, [3], SearchConfig(top_k=9, batch=16))
    assert found.codes.tolist() == expected.codes.tolist()
    assert max(sizes) == 4

    search = perturb_search(spy, codes, [3, 4], SearchConfig(batch=16))
    next(search)

    def none(tokens, text=None):
        raise torch.OutOfMemoryError("no room")

    spy.decode = none
    with pytest.raises(torch.OutOfMemoryError):
        next(search)


@pytest.mark.parametrize("method", METHODS)
def test_a_loss_without_memory_gets_smaller_batches_too(watched, method):
    spy, sizes = watched

    def greedy(images):
        if len(images) > 3:
            raise torch.OutOfMemoryError("no room")
        return images.mean((1, 2, 3))

    codes = torch.zeros(1, 6, dtype=torch.long)
    (expected,) = perturb_search(
        spy, codes, [3], SearchConfig(top_k=5, method=method, batch=2), loss=greedy
    )
    config = SearchConfig(top_k=5, method=method, batch=32)
    (found,) = perturb_search(spy, codes, [3], config, loss=greedy)
    assert len(found.codes) == len(expected.codes)
    if method == "exact":
        assert found.codes.tolist() == expected.codes.tolist()
    assert max(sizes) > 3
