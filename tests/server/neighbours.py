"""The graph that lets Hostile_Calls call every node, and how to read what it tells."""

from __future__ import annotations

import json
from typing import NamedTuple

from devtools.comfyui.checks import WORDS, node, succeed
from devtools.comfyui.client import Client, Graph


class Call(NamedTuple):
    """One call of a node with one input changed: "" in `error` and `message` is a good result."""

    node: str
    input: str
    case: str
    error: str
    message: str
    seconds: float

    def __str__(self) -> str:
        where = f"{self.node}.{self.input} [{self.case}]"
        return f"{where} {self.error} {self.seconds} s: {self.message[:200]!r}"

    @property
    def sound(self) -> bool:
        """A good result, or one short sentence that names the input."""
        if not self.error:
            return not self.message
        short = len(self.message.split()) <= WORDS and "\n" not in self.message.strip()
        return self.error == "ValueError" and short and self.input in self.message


def calls(
    client: Client,
    edit: Graph,
    kinds: str,
    every: int = 1,
    texts: dict[str, str] | None = None,
    *,
    sender: str = "",
    more: Graph | None = None,
    given: dict[str, list] | None = None,
) -> list[Call]:
    """What came of calling all nodes with strange values of these types, each `every`th call.

    Args:
        edit: the shipped text edit, whose first nodes give what the calls need.
        texts: by what to call them, in place of the strange texts.
        sender: a node that the images pass before the calls get them.
        more: nodes besides those here.
        given: where the calls get values of a socket type from, in place of the nodes here.
    """
    sources = {number: edit[number] for number in "12345"}
    sources["3"]["inputs"].update(batch_size=2, seed=5)
    link = {"tokenizer": ["1", 0]}
    fit = {"mode": "crop", "position": 0.5, "fill": "edge", "around_mask": True, "margin": 50}
    graph = sources | {
        "80": node("SolidMask", value=0.5, width=64, height=64),
        "81": node(
            "TokenOpt_AttributeVector", **link, tokens_with=["4", 0], tokens_without=["82", 0]
        ),
        "82": node("TokenOpt_RandomTokens", **link, seed=0, batch_size=1, scale=1.0),
        "83": node("TokenOpt_FitImage", **link, image=["3", 0], **fit),
        "87": node("TokenOpt_LoadCaptionEncoder", model="captions"),
        "90": node(
            "Hostile_Calls",
            kinds=kinds,
            every=every,
            texts=json.dumps(texts or {}),
            TOKENOPT_TOKENIZER=["1", 0],
            TOKENOPT_GUIDE=["2", 0],
            IMAGE=["3", 0],
            TOKENOPT_TOKENS=["4", 0],
            TOKENOPT_LOSS=["5", 0],
            MASK=["80", 0],
            TOKENOPT_ATTRIBUTE=["81", 0],
            TOKENOPT_FIT=["83", 2],
            TOKENOPT_CAPTION_ENCODER=["87", 0],
        ),
    }
    graph |= more or {}
    graph["90"]["inputs"].update(given or {})
    if sender:
        graph["84"] = node(sender, image=["3", 0])
        graph["90"]["inputs"]["IMAGE"] = ["84", 0]
    run = succeed(client, graph)
    return [Call(*told) for told in json.loads(run.outputs["90"]["calls"][0])]
