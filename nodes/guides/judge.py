"""Judge: scores of images against a prompt, from CLIP and from an independent judge."""

from __future__ import annotations

import torch
from torch import Tensor

from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import to_images
from ..host.sockets import LoadedGuide
from ..losses.prompts import for_images, prompt_lines
from ..report.words import plain_table
from .verdicts import Scores, demo_scores, guide_scores, log_verdicts, similarity, target_texts

DEMO = "demo"


class Judge(io.ComfyNode):
    """How well images fit a prompt, by the guide that made them and by an independent judge."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Judge",
            display_name="Judge",
            category=f"{CATEGORY}/optimize",
            description="Detects adversarial images: compares CLIP's similarity with the score of "
            "an independent judge, for each image. Shows the table in the node.",
            search_aliases=["clip score", "rate", "evaluate", "text match", "adversarial"],
            is_output_node=True,
            inputs=[
                widgets.image("The images to judge, for example the results."),
                widgets.guide("The guide that was used in the CLIP Loss."),
                widgets.prompt(
                    "",
                    "What the images should show: one line for all, or one line per image. Of a "
                    "weighted prompt, only the parts above 0 are used.",
                ),
                widgets.guide(
                    "A guide that was not used in the loss, preferably a SigLIP model. Without "
                    "it, results of the demo guide are scored by the demo judge.",
                    name="judge",
                    optional=True,
                ),
                widgets.image(
                    "The images before the edit: the table then shows the change.",
                    name="before",
                    optional=True,
                ),
            ],
            outputs=[
                widgets.text_output("scores", "The table: one line per image below its head.")
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        guide: LoadedGuide,
        prompt: str,
        judge: LoadedGuide | None = None,
        before: torch.Tensor | None = None,
    ) -> io.NodeOutput:
        images = to_images(image)
        earlier = None if before is None else _matched(to_images(before, "before"), len(images))
        texts = target_texts(for_images(prompt_lines(prompt), len(images)))
        clip = similarity(guide, images, texts)
        clip_before = None if earlier is None else similarity(guide, earlier, texts)
        gain = None if earlier is None else clip - clip_before
        scores = _judged(guide, judge, images, texts, earlier, gain)
        log_verdicts(clip.tolist(), scores)
        notes = guide.module.remarks(texts) + (judge.module.remarks(texts) if judge else [])
        table = _table(clip, clip_before, scores, list(dict.fromkeys(notes)))
        return io.NodeOutput(table, ui={"tokenopt_notes": [table]})


def _matched(before: Tensor, batch: int) -> Tensor:
    if len(before) not in (1, batch):
        raise ValueError(
            f"before has {len(before)} images and image has {batch}; expected one for all, or one "
            "each."
        )
    return before.expand(batch, -1, -1, -1)


def _judged(
    guide: LoadedGuide,
    judge: LoadedGuide | None,
    images: Tensor,
    texts: list[str],
    before: Tensor | None,
    clip_gain: Tensor | None,
) -> Scores | None:
    """The judge's part, None without an independent one."""
    if judge is not None and judge is not guide:
        return guide_scores(judge, images, texts, before, clip_gain)
    if guide.name == DEMO:
        return demo_scores(images, texts)
    return None


def _table(
    clip: Tensor, clip_before: Tensor | None, scores: Scores | None, notes: list[str]
) -> str:
    head = ["image", "CLIP"]
    rows = [[str(i), f"{value:.3f}"] for i, value in enumerate(clip.tolist(), 1)]
    if clip_before is not None:
        head.append("before")
        for row, value in zip(rows, clip_before.tolist(), strict=True):
            row.append(f"{value:.3f}")
    if scores is not None:
        head += [scores.name, "verdict"]
        for row, value, verdict in zip(rows, scores.values, scores.verdicts, strict=True):
            row += [f"{value:.3f}", verdict]
    else:
        notes = ["no judge: connect a guide that took no part, best a SigLIP model.", *notes]
    return "\n".join([plain_table([head, *rows]), *(f"note: {note}" for note in notes)])
