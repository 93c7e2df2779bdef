"""Which nodes docs/examples/api/edit.py changes, and what batch.py makes of a table."""

from __future__ import annotations

import importlib
import json

import pytest

from devtools.comfyui.layout import ROOT

PROGRAMS = ROOT / "docs" / "examples" / "api"


@pytest.fixture
def program(monkeypatch):
    """Imports a program as its neighbours do."""
    monkeypatch.syspath_prepend(str(PROGRAMS))
    return importlib.import_module


def shipped(name: str) -> dict:
    return json.loads((ROOT / "workflows" / "api" / f"{name}.json").read_text(encoding="utf-8"))


def test_every_shipped_workflow_says_what_can_be_set(program):
    """Prompt and seed where there is a loss, the picture where one scene stands for it."""
    edit, can = program("edit"), {}
    values = {"prompt": "a fox", "seed": 1, "image": __file__}
    for path in sorted((ROOT / "workflows" / "api").glob("*.json")):
        for name, value in values.items():
            try:
                edit.changed(edit.load_graph(path), {name: value})
            except edit.Problem:
                continue
            can.setdefault(path.stem, []).append(name)
    assert can["text_edit"] == can["inpaint"] == can["sweep"] == ["prompt", "seed", "image"]
    assert can["generate_from_noise"] == ["prompt", "seed"]
    assert can["image_prompt"] == ["seed"]


def test_seeds_that_go_together_change_together(program):
    graph = program("edit").changed(shipped("generate_from_noise"), {"seed": 4})
    assert [graph[n]["inputs"]["seed"] for n in ("3", "5")] == [4, 4]
    graph = program("edit").changed(graph, {"prompt": "a fox"})
    assert graph["9"]["inputs"]["value"] == "a fox"
    graph = program("edit").changed(shipped("text_edit"), {"seed": 4})
    assert [graph[n]["inputs"]["seed"] for n in ("3", "6")] == [7, 4]


def test_the_judge_asks_for_the_new_prompt_too(program):
    graph = program("edit").changed(shipped("several_prompts"), {"prompt": "a fox"})
    assert graph["6"]["inputs"]["prompt"] == graph["10"]["inputs"]["prompt"] == "a fox"


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (
            {"prompt": "a fox"},
            ["CLIP Loss (5)", "Other (9)", '--set "5.prompt=...'],
        ),
        ({"CLIP Los.prompt": "a"}, ["0 nodes", "CLIP Los"]),
        ({"6.stepz": "4"}, ["no input stepz", "steps, lr, seed"]),
        ({"6.steps": "many"}, ["100", "'many'"]),
        ({"image": "none.png"}, ["no picture none.png"]),
        ({"seed": 2.5}, ["The seed is 2.5", "whole number"]),
        ({"seed": "many"}, ["The seed is 'many'"]),
        ({"seed": True}, ["The seed is True"]),
        ({"6.loss": "4"}, ["no input loss of its own"]),
    ],
)
def test_what_cannot_be_set_is_said(program, values, parts):
    edit, graph = program("edit"), shipped("text_edit")
    graph["9"] = json.loads(json.dumps(graph["5"]))
    graph["9"]["inputs"]["prompt"] = "another"
    graph["9"]["_meta"]["title"] = "Other"
    with pytest.raises(edit.Problem) as problem:
        edit.changed(graph, values)
    for part in parts:
        assert part in str(problem.value)


def test_files_that_are_no_workflow(program, tmp_path):
    edit = program("edit")
    for name, content in (("a.json", "[1]"), ("b.json", "{"), ("c.json", '{"1": 2}')):
        (tmp_path / name).write_text(content)
        with pytest.raises(edit.Problem, match=name):
            edit.load_graph(tmp_path / name)
    with pytest.raises(edit.Problem, match=r"Export \(API\)"):
        edit.load_graph(next((ROOT / "workflows").glob("*.json")))


def test_tables_of_jobs(program, tmp_path):
    jobs = program("jobs")
    (tmp_path / "a.png").write_bytes(b"a")
    table = tmp_path / "jobs.csv"
    table.write_text('\ufeffimage,prompt,6.steps\na.png,"a, fox",\n,"two\nlines",9\n', "utf-8")
    rows = list(jobs.read_table(table))
    first = {"image": str(tmp_path / "a.png"), "prompt": "a, fox"}
    assert rows == [first, {"prompt": "two\nlines", "6.steps": "9"}]
    (made, other) = jobs.make_jobs(shipped("text_edit"), [*rows, first])
    assert made.key != other.key
    assert made.folder == f"a-a-fox-{made.key}"
    (tmp_path / "a.png").write_bytes(b"another picture")
    assert jobs.make_jobs(shipped("text_edit"), rows[:1])[0].key != made.key
    table = table.with_suffix(".jsonl")
    table.write_text('{"prompt": "a", "seed": 3}\n{"promt": "b"}\n')
    with pytest.raises(jobs.Problem, match="promt"):
        list(jobs.read_table(table))


def test_a_folder_with_prompts_and_seeds(program, tmp_path):
    for name in ("b.PNG", "a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "prompts.txt").write_text("a fox\n\n a ring \n")
    rows = list(program("jobs").all_of_all(tmp_path, tmp_path / "prompts.txt", [1, 2]))
    assert len(rows) == 8
    assert rows[0] == {"image": str(tmp_path / "a.jpg"), "prompt": "a fox", "seed": 1}


def test_results_never_leave_the_folder_nor_replace_others(program, tmp_path):
    save = program("comfy_client").save
    first = save(b"1", tmp_path / "out", "../..\\x/a.png")
    assert first == tmp_path / "out" / "a.png"
    assert save(b"1", tmp_path / "out", "a.png") == first
    assert save(b"2", tmp_path / "out", "a.png").name == "a (2).png"
    assert first.read_bytes() == b"1"


@pytest.mark.parametrize(
    "address", ["", "ftp://x", "http://[::1", "localhost:port", "http://:8188"]
)
def test_an_address_that_is_none(program, address, capsys):
    for name in ("edit", "batch"):
        with pytest.raises(SystemExit) as ended:
            program(name).main(["--server", address, "--workflow", "any.json"])
        assert ended.value.code == 2
        assert "such as http://127.0.0.1:8188" in capsys.readouterr().err


def test_an_address_without_http(program):
    for text in ("localhost", "127.0.0.1:8188", "[::1]:8188"):
        assert program("edit").address(text) == f"http://{text}"
    assert program("edit").address("https://a.example/comfy") == "https://a.example/comfy"
