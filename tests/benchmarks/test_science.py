"""The experiments' machinery on a handful of images: what is written, and that it goes on."""

import json

import pytest
import torch
from PIL import Image

from benchmarks.images import LIMIT
from benchmarks.science import __main__ as science
from benchmarks.science import models, rows
from benchmarks.science.cache import Job
from benchmarks.science.pixels import PixelTokenizer
from benchmarks.science.problems import SPLITS, edits, restorations
from benchmarks.science.running import hits, run_row
from benchmarks.science.stopping import Trace
from tokenopt_core import ClipLoss, OptimizeConfig, load_guide, load_tokenizer, optimize

KEYS = (
    "seed",
    "tokens",
    "pixels",
    "no-quantization",
    "noise",
    "s-edit",
    "h-soft",
    "h-reset",
    "a-best",
    "a-random",
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("science")


@pytest.fixture(scope="module")
def report(folder):
    """results.md of a quick run of some rows of every experiment."""
    run(folder)
    return (folder / "out" / "results.md").read_text(encoding="utf-8")


def run(folder, *more: str) -> None:
    arguments = ["--quick", "--n", "2", "--out", str(folder / "out"), "--cache", str(folder)]
    assert science.main([*arguments, "--rows", *KEYS, *more]) == 0


def test_what_keeps_the_rest_of_an_image_has_a_page_of_its_own(folder):
    keys = ("p-short-likeness", "p-short-preserve-3", "p-full-preserve1.0")
    arguments = ["--quick", "--n", "2", "--out", str(folder / "out"), "--cache", str(folder)]
    assert science.main([*arguments, "--experiments", "preserve", "--rows", *keys]) == 0
    page = (folder / "out" / "preserve.md").read_text(encoding="utf-8")
    for label in ("short: L1 to the start, 0.5", "short: `preserve` 1, best of 3"):
        assert f"| {label} | 2 | 0 [0, 66] |" in page
    assert "| full: `preserve` 1 | 2 |" in page


def test_the_report_has_every_section(report):
    assert "**A quick run: the numbers mean nothing.**" in report
    for title in (
        "## The bars",
        "## 1. Editing",
        "## 2. Generation",
        "## 3. Number of steps",
        "## Best so far and early stopping",
        "## 4. Inpainting",
        "## 5. Seeds",
    ):
        assert title in report, title
    assert "| seed image | 2 | 0 [0, 66] | 100 ± 0 |" in report
    assert "editing tokens beats editing pixels" in report
    for steps in (50, 200):
        assert f"the best seed of a pool beats a random one (all eight, {steps} steps)" in report
        assert f"| the best scene, {steps} steps | 2 |" in report
    assert "the best one beats noise (all eight, 200 steps)" in report


def test_every_table_is_rectangular(report):
    tables = [part for part in report.split("\n\n") if part.startswith("| ")]
    assert len(tables) >= 8
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_pictures_are_light_and_named_in_the_report(report, folder):
    for name in ("edit", "generation", "steps", "inpainting", "association"):
        path = folder / "out" / f"{name}.png"
        assert f"({name}.png)" in report
        assert path.stat().st_size < LIMIT
        with Image.open(path) as image:
            assert image.height >= 2 * 64


def test_a_second_run_computes_nothing_and_a_lost_result_alone_is_made_anew(report, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    lost = next(path for path in before if path.name.startswith("tokens-"))
    figures = json.loads(lost.read_text(encoding="utf-8"))["images"]
    lost.unlink()
    run(folder)
    after = {path: path.stat().st_mtime_ns for path in folder.glob("*.json")}
    assert after.keys() == before.keys()
    assert [path for path in after if after[path] != before[path]] == [lost]
    assert json.loads(lost.read_text(encoding="utf-8"))["images"] == figures  # seeded


def test_the_cache_knows_settings_problems_and_weights(tmp_path):
    row = next(row for row in rows.edit_rows() if row.key == "tokens")
    job = Job(row, "test", 0, 4, "bfloat16", tmp_path)
    others = [
        job._replace(row=next(row for row in rows.edit_rows() if row.key == "plain")),
        job._replace(split="tuning"),
        job._replace(chunk=1),
        job._replace(size=2),
        job._replace(precision="float32"),
    ]
    assert len({job.path(), *(other.path() for other in others)}) == 6
    assert any(name.startswith("tokenizer/") for name in models.weights_of("demo"))
    assert not any(name.startswith("tokenizer/") for name in models.weights_of("pixels"))


def test_what_was_kept_before_seeds_could_be_chosen_is_still_known():
    """A row without an association has the settings that it had then."""
    known = next(row for row in rows.edit_rows() if row.key == "noise").settings()
    fields = {"model", "task", "start", "config", "crops", "candidates", "rim", "traced"}
    assert known.keys() == fields
    chosen = {row.key: row.settings() for row in rows.association_rows()}
    assert chosen["noise"] == known
    assert all("association" in chosen[key] for key in chosen if "noise" not in key)


def test_a_missing_comparator_is_left_out_with_the_way_to_train_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(models, "RUNS", tmp_path / "nothing")
    arguments = ["--quick", "--n", "1", "--experiments", "edit", "steps", "--rows", "seed", "grid"]
    assert science.main([*arguments, "--out", str(tmp_path), "--cache", str(tmp_path)]) == 0
    assert "python -m training --only grid" in capsys.readouterr().err
    assert "Left out: the comparator 'grid'" in (tmp_path / "results.md").read_text("utf-8")


def test_unknown_rows_are_refused(capsys):
    with pytest.raises(SystemExit):
        science.main(["--experiments", "edit", "--rows", "h-soft"])
    assert "fits no row of edit" in capsys.readouterr().err


def test_problems_do_not_depend_on_how_many_there_are_and_splits_share_none():
    assert torch.equal(edits("test", 1, 4).images, edits("test", 1, 4).images)
    seeds = [
        seed for split in SPLITS for chunk in range(20) for seed in edits(split, chunk, 2).seeds
    ]
    assert len(set(seeds)) == len(seeds)
    assert not torch.equal(edits("test", 0, 4).images, edits("tuning", 0, 4).images)


def test_an_edit_changes_shape_and_colour_only():
    problems = edits("tuning", 0, 16)
    record, _ = run_row(quick("seed"), problems, "float32")
    for image in record["images"]:
        assert not hits(image, ("shape",))
        assert not hits(image, ("colour",))
        assert all(image["right"][2:])


def quick(key: str) -> rows.Row:
    every = [*rows.edit_rows(), *rows.step_rows(), *rows.hole_rows()]
    return next(row for row in every if row.key == key).quick()


def test_the_best_seed_shows_more_of_the_prompt_than_a_random_one():
    problems = edits("tuning", 3, 16)
    steps = {row.key: row for row in rows.association_rows()}
    best, top, random = (
        run_row(steps[f"a-{how}-0"], problems, "float32")[0]["images"]
        for how in ("best", "top", "random")
    )
    right = [sum(sum(image["right"]) for image in images) for images in (best, top, random)]
    assert right[0] > right[1] > right[2]


def test_a_hole_hides_part_of_the_object_and_known_pixels_come_back():
    problems = restorations("tuning", 0, 4)
    hidden = problems.holes.mean((1, 2, 3))
    assert ((hidden > 0.05) & (hidden < 0.5)).all()
    _, images = run_row(quick("h-hard"), problems, "float32")
    known = problems.holes.expand_as(images) == 0
    assert torch.equal(images[known], problems.images[known])
    assert not torch.allclose(images[~known], problems.images[~known], atol=0.01)


def test_pixels_are_tokens_that_decode_to_themselves():
    pixels = PixelTokenizer()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(pixels.decode(pixels.quantize(pixels.encode(images)).tokens), images)


def test_the_fast_models_see_what_the_exact_ones_see():
    images = edits("tuning", 1, 4).images
    with torch.no_grad():
        exact, fast = (
            models.guide(d).encode_image(images) for d in (torch.float32, torch.bfloat16)
        )
        shown = [
            t.decode(t.quantize(models.tokenizer("demo").encode(images)).tokens)
            for t in (models.tokenizer("demo"), models.tokenizer("demo", torch.bfloat16))
        ]
    assert ((exact * fast).sum(-1) > 0.999).all()
    assert (shown[0] - shown[1]).abs().mean() < 0.01


def test_a_replayed_end_is_the_end_of_a_shorter_run():
    """Without noise: stopping rules and numbers of steps may be read off one long run."""
    problems, tokenizer = edits("tuning", 2, 2), load_tokenizer("demo")
    with torch.no_grad():
        features = tokenizer.encode(problems.images)
    loss = ClipLoss(load_guide("demo"), problems.captions, crops=1, flip=False)
    settings = {"lr": 0.3, "ema_decay": 0.9}
    trace = Trace(OptimizeConfig(steps=12, **settings))
    for step in optimize(tokenizer, loss, features, trace.config, seeds=5):
        trace.add(step)
    for keep in ("last", "average", "best"):
        config = OptimizeConfig(steps=7, keep=keep, **settings)
        *_, short = optimize(tokenizer, loss, features, config, seeds=5)
        assert torch.equal(trace.at([7, 7], keep), short.result), keep
    patient = OptimizeConfig(steps=12, patience=2, min_gain=0.05, **settings)
    trace.config = OptimizeConfig(steps=12, min_gain=0.05, **settings)
    *_, stopped = optimize(tokenizer, loss, features, patient, seeds=5)
    assert any(stopped.stopped)
    assert torch.allclose(trace.at(trace.stops(2), "average"), stopped.averaged, atol=1e-6)
