"""The shipped workflows in a size for tests that run many of them: few steps, the same nodes."""

from __future__ import annotations

import copy

from ..comfyui.client import Graph
from ..comfyui.template_files import API_WORKFLOWS, api_graph

SCENES = 24  # of both kinds in each comparison of the templates

# What makes a node of a template quick; all other inputs stay as shipped.
_QUICK = {
    "TokenOpt_Optimize": {"steps": 2, "preview_every": 0},
    "TokenOpt_Sweep": {"steps": 1},
    "TokenOpt_ClipLoss": {"crops": 2},
    "TokenOpt_ImagePromptLoss": {"crops": 2},
    "TokenOpt_Importance": {"effect_images": 4},
    "TokenOpt_PixelInfluence": {"samples": 1},
    "TokenOpt_PerturbSearch": {"positions": "0, 5", "share": 0.01},
    "TokenOpt_Blend": {"steps": 3},
    "TokenOpt_EasyTextEdit": {"steps": 2, "tries": 1},
    "TokenOpt_EasyInpaint": {"steps": 2, "tries": 1},
}


def short_templates() -> dict[str, Graph]:
    """Every shipped workflow of the demo models in API format by name, with few steps."""
    names = sorted(file.stem for file in API_WORKFLOWS.glob("*.json"))
    graphs = {name: api_graph(name) for name in names}
    return {name: short(graph) for name, graph in graphs.items() if _of_the_demo(graph)}


def _of_the_demo(graph: Graph) -> bool:
    """Whether it needs no model that would have to be downloaded."""
    loads = [node["inputs"] for node in graph.values() if "_Load" in node["class_type"]]
    return all(inputs.get("tokenizer", inputs.get("model")) == "demo" for inputs in loads)


def short(graph: Graph) -> Graph:
    """A copy of a graph whose nodes have less to do."""
    graph = copy.deepcopy(graph)
    for node in graph.values():
        quick = _QUICK.get(node["class_type"], {})
        node["inputs"].update({name: v for name, v in quick.items() if name in node["inputs"]})
        if node["inputs"].get("batch_size", 0) > SCENES:
            node["inputs"]["batch_size"] = SCENES
    return graph


def together(graphs: dict[str, Graph]) -> Graph:
    """One graph of several, whose nodes are called NAME_NUMBER."""
    return {
        f"{name}_{number}": {**node, "inputs": _renamed(node["inputs"], name)}
        for name, graph in graphs.items()
        for number, node in graph.items()
    }


def _renamed(inputs: dict, name: str) -> dict:
    return {
        key: [f"{name}_{value[0]}", value[1]] if isinstance(value, list) else value
        for key, value in inputs.items()
    }
