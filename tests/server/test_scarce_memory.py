"""A device that runs out of memory: less at once gives the same, and what cannot fit says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from devtools.comfyui.checks import node, pixels, succeed
from devtools.templates.short import short_templates, together

MANY = 10**6
LOADERS = ("TokenOpt_LoadTokenizer", "TokenOpt_LoadGuide")


def scarce(graph, images: int = MANY, tokens: int = MANY, pictures: int = MANY) -> dict:
    """The graph with both models on a device that has room for so many at once."""
    graph = json.loads(json.dumps(graph))
    loads = {number: graph[number]["class_type"] for number in graph}
    for each in graph.values():
        for name, value in each["inputs"].items():
            if isinstance(value, list) and loads[value[0]] in LOADERS:
                each["inputs"][name] = ["scarce", LOADERS.index(loads[value[0]])]
    room = {"images": images, "tokens": tokens, "pictures": pictures}
    return graph | {
        "tokenizer": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "guide": node("TokenOpt_LoadGuide", model="demo"),
        "scarce": node(
            "Hostile_ScarceMemory", tokenizer=["tokenizer", 0], guide=["guide", 0], **room
        ),
    }


def test_less_at_once_gives_the_same_and_tells(client, server):
    templates = short_templates()
    names = ("several_prompts", "generate_from_noise", "sweep", "attribute_transfer")
    graph = together({name: templates[name] for name in names})
    starts = {"batch_size": 3, "best_of": 2, "loss": ["generate_from_noise_4", 0]}
    graph["generate_from_noise_3"]["inputs"].update(starts)
    graph["sweep_6"]["inputs"].update(values_1="0.1; 0.2", setting_2="none", values_2="")
    plain = succeed(client, graph)
    before = len(server.log_text())
    spared = succeed(client, scarce(graph, images=2, tokens=2, pictures=1))
    saved = [number for number in graph if graph[number]["class_type"] == "SaveImage"]
    for number in saved:
        expected, found = (pixels(client, run, number).astype(int) for run in (plain, spared))
        assert (np.abs(found - expected) > 2).mean() < 0.001, number  # a last digit
    told = server.log_text()[before:]
    for line in (
        "Memory did not suffice for 24 images at once: going on with 12",
        "trying one image after the other",
        "trying one image and one crop after the other",
    ):
        assert line in told
    for number in ("several_prompts_7", "sweep_6"):
        (note,) = [n for n in spared.outputs[number]["tokenopt_notes"] if "memory" in n]
        assert "one image and one crop after the other" in note
        assert not any("memory" in note for note in plain.outputs[number]["tokenopt_notes"])


@pytest.mark.parametrize(
    ("name", "room"),
    [
        ("text_edit", {"images": 0}),
        ("text_edit", {"tokens": 0}),
        ("text_edit", {"pictures": 0}),
        ("image_as_text", {"tokens": 0}),
        ("sweep", {"pictures": 0}),
        ("perturb_search", {"tokens": 0}),
        ("token_importance", {"pictures": 0}),
        ("seed_retrieval", {"pictures": 0}),
    ],
)
def test_what_cannot_fit_is_comfyuis_own_error_and_the_next_prompt_works(
    client, server, name, room
):
    before = len(server.log_text())
    run = client.run(scarce(short_templates()[name], **room))
    assert run.status == "error"
    assert run.error["exception_type"].endswith("OutOfMemoryError")
    assert run.error["exception_message"].startswith("CUDA out of memory. Tried to allocate 1.00")
    assert "TIPS" in run.error["exception_message"]
    told = server.log_text()[before:]
    assert "unloading all loaded models" in told
    assert told.count("did not suffice") < 20  # tries are counted
    succeed(client, scarce(short_templates()["text_edit"], images=1))
