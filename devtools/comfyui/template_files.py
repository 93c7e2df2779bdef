"""Files of the templates, in the order in which a newcomer meets them.

ComfyUI lists a pack's templates by the names of their files, as the disk gives them or sorted: so
the files of `workflows/` begin with a number. Those of `workflows/api/` are called by name alone.
"""

from __future__ import annotations

import json
from pathlib import Path

from .client import Graph
from .layout import ROOT

WORKFLOWS, API_WORKFLOWS = ROOT / "workflows", ROOT / "workflows" / "api"
TEMPLATES = (
    "easy_text_edit",
    "easy_inpaint",
    "text_edit",
    "several_prompts",
    "generate_from_noise",
    "inpaint",
    "any_size",
    "image_prompt",
    "seed_retrieval",
    "trajectory",
    "sweep",
    "token_copy",
    "morph",
    "attribute_transfer",
    "token_importance",
    "perturb_search",
    "image_as_text",
    "l32_text_edit",
    "l32_generate_from_noise",
    "l32_inpaint",
)

# Nodes that stand ready in a template and lead to nothing, which a program would post in vain: the
# API format has none of them. By template and number.
READY = {
    "inpaint": {
        "17": {
            "class_type": "LoadImage",
            "inputs": {"image": ""},
            "_meta": {"title": "Your picture"},
        }
    }
}


def file_name(template: str) -> str:
    """What ComfyUI shows: "text_edit" -> "03_text_edit"."""
    return f"{TEMPLATES.index(template) + 1:02}_{template}"


def template_file(template: str, suffix: str = ".json") -> Path:
    """The file that a user opens, or (".jpg") its thumbnail."""
    return WORKFLOWS / f"{file_name(template)}{suffix}"


def api_file(template: str) -> Path:
    """The same workflow in API format."""
    return API_WORKFLOWS / f"{template}.json"


def api_graph(template: str) -> Graph:
    """The graph of `api_file`."""
    return json.loads(api_file(template).read_text(encoding="utf-8"))
