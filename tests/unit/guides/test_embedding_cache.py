"""Embeddings kept between runs: what is found again, and what is never believed."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest
import torch
from safetensors.torch import load, load_file, save_file

from tokenopt_core.guides import embedding_cache
from tokenopt_core.guides.embedding_cache import EmbeddingCache, content_key
from tokenopt_core.guides.guide import load_guide


def unit(seed: int, size: int = 24) -> torch.Tensor:
    vector = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    return vector / vector.norm()


def key(number: int) -> bytes:
    return content_key(b"image %d" % number)


def fill(folder, guide, numbers) -> None:
    with EmbeddingCache(folder, guide) as cache:
        for number in numbers:
            cache.put(key(number), unit(number))


def known(folder, guide, numbers) -> list[int]:
    """Those of the numbers whose own embedding the cache gives back."""
    cache = EmbeddingCache(folder, guide)
    found = {number: cache.get(key(number)) for number in numbers}
    return [n for n, value in found.items() if value is not None and torch.equal(value, unit(n))]


def only_file(folder):
    (file,) = folder.iterdir()
    return file


def test_what_was_put_is_there_in_the_next_run(tmp_path, guide):
    folder = tmp_path / "user" / "embeddings"
    fill(folder, guide, [1, 2])
    assert known(folder, guide, [1, 2, 3]) == [1, 2]
    assert only_file(folder).suffix == ".safetensors"


def test_equal_bytes_are_one_image_and_one_changed_byte_is_another(tmp_path, guide):
    assert content_key(b"abc") == content_key(b"abc") != content_key(b"abd")


def test_another_guide_knows_nothing_of_it(
    tmp_path, guide, siglip_folder, clip_folder, monkeypatch
):
    fill(tmp_path, guide, [1])
    assert known(tmp_path, load_guide(clip_folder), [1]) == [1]  # the same one, loaded anew
    assert known(tmp_path, load_guide(siglip_folder), [1]) == []
    changed = load_guide(clip_folder)
    next(changed.visual.parameters()).data.view(-1)[5] += 1
    assert known(tmp_path, changed, [1]) == []
    renamed = load_guide(clip_folder)
    renamed.name = "the same weights under an architecture of another name"
    assert known(tmp_path, renamed, [1]) == []
    assert known(tmp_path, load_guide(clip_folder, dtype=torch.float16), [1]) == []
    monkeypatch.setattr(embedding_cache, "PREPROCESSING", embedding_cache.PREPROCESSING + 1)
    assert known(tmp_path, load_guide(clip_folder), [1]) == []


def truncate(file):
    file.write_bytes(file.read_bytes()[:-7])


def empty(file):
    file.write_bytes(b"")


def noise(file):
    file.write_bytes(os.urandom(500))


def other_tensors(file):
    save_file({"weights": torch.zeros(3)}, file)


def too_few_keys(file):
    tensors = load_file(file)
    save_file(tensors | {"keys": tensors["keys"][:1].clone()}, file)


def not_a_number(file):
    tensors = load_file(file)
    save_file(tensors | {"embeddings": tensors["embeddings"] * float("nan")}, file)


def flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage", [truncate, empty, noise, other_tensors, too_few_keys, not_a_number, flipped]
)
def test_a_damaged_file_is_ignored_and_made_anew(tmp_path, guide, damage, caplog):
    fill(tmp_path, guide, [1, 2])
    damage(only_file(tmp_path))
    assert known(tmp_path, guide, [1, 2]) == []
    assert "ignored" in caplog.text
    fill(tmp_path, guide, [3])
    assert known(tmp_path, guide, [1, 2, 3]) == [3]


def test_it_never_grows_beyond_its_bound_and_forgets_what_was_used_least_recently(
    tmp_path, guide, monkeypatch
):
    monkeypatch.setattr(embedding_cache, "MOST_IMAGES", 4)
    fill(tmp_path, guide, [1, 2, 3, 4])
    with EmbeddingCache(tmp_path, guide) as cache:
        cache.get(key(1))
        cache.put(key(5), unit(5))
    assert known(tmp_path, guide, range(1, 6)) == [1, 3, 4, 5]


def test_only_the_latest_guides_keep_a_file(tmp_path, guide, monkeypatch):
    monkeypatch.setattr(embedding_cache, "MOST_FILES", 2)
    for age, name in enumerate(("old", "older", "oldest"), 1):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(b"x")
        os.utime(file, (time.time() - 1000 * age,) * 2)
    left = tmp_path / "killed.partial"
    left.write_bytes(b"x")
    os.utime(left, (time.time() - 2 * 86400,) * 2)
    fresh = tmp_path / "being written.partial"
    fresh.write_bytes(b"x")
    fill(tmp_path, guide, [1])
    names = {file.name for file in tmp_path.iterdir()}
    assert {"old.safetensors", fresh.name} < names
    assert len(names) == 3
    assert known(tmp_path, guide, [1]) == [1]


def test_what_was_done_before_a_cancel_is_kept(tmp_path, guide):
    def cancelled() -> None:
        with EmbeddingCache(tmp_path, guide) as cache:
            cache.put(key(1), unit(1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cancelled()
    assert known(tmp_path, guide, [1]) == [1]


def test_a_run_that_needs_nothing_new_writes_nothing(tmp_path, guide):
    fill(tmp_path, guide, [1])
    before = only_file(tmp_path).stat().st_mtime_ns
    with EmbeddingCache(tmp_path, guide) as cache:
        assert cache.get(key(1)) is not None
    assert only_file(tmp_path).stat().st_mtime_ns == before


def test_a_place_that_cannot_be_written_costs_only_the_memory_of_it(tmp_path, guide, caplog):
    (tmp_path / "file").write_text("not a folder")
    fill(tmp_path / "file" / "cache", guide, [1])
    assert "not kept" in caplog.text


def _fill_often(folder, clip_folder, start: int) -> None:
    torch.set_num_threads(1)
    guide = load_guide(clip_folder)
    for number in range(start, start + 10):
        fill(folder, guide, [number])


def test_two_processes_at_once_leave_a_whole_file(tmp_path, clip_folder, guide):
    """One may forget what the other one has found in the same moment; nobody reads half a file."""
    folder = tmp_path / "cache"
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    workers = [
        context.Process(target=_fill_often, args=(folder, clip_folder, start))
        for start in (100, 200)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        for file in folder.glob("*.safetensors"):
            tensors = load(file.read_bytes())  # `load_file` opens it twice: two versions of it
            assert len(tensors["keys"]) == len(tensors["embeddings"])
    assert [worker.exitcode for worker in workers] == [0, 0]
    found = known(folder, guide, [*range(100, 110), *range(200, 210)])
    assert len(found) >= 10
    assert 109 in found or 209 in found
