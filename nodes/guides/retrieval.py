"""Seed Retrieval: an image to start from for each prompt (arXiv 2506.08257, section 5.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.checks import shown
from ...tokenopt_core.guides.retrieval import CHOICES, similarities, top_count
from ...tokenopt_core.guides.retrieval import choose as choose_images
from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, model_management, schema
from ..host.image_folder import folder_fingerprint, folder_input
from ..host.images import from_images, to_images
from ..host.sockets import LoadedGuide
from ..losses.prompts import check_words, prompt_lines
from ..report.words import cut, plain_table
from .pool import Pool, pool_of_batch, pool_of_folder
from .verdicts import target_texts

SIZES = (16, 4096)  # pixels
MOST_PIXELS = 2**27  # of all chosen images: 1.6 GB as an IMAGE
TEXTS_PER_CHUNK = 64
LONGEST = 48  # characters of a prompt in the table


class SeedRetrieval(io.ComfyNode):
    """For each prompt the image of a pool that a guide finds nearest, or one of the nearest."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_SeedRetrieval",
            display_name="Seed Retrieval",
            category=f"{CATEGORY}/optimize",
            description="For each prompt, selects the image of a batch or folder to start from: "
            "the closer it is to the prompt, the fewer steps are needed.",
            search_aliases=["find image", "clip search", "best of", "text search"],
            has_intermediate_output=True,
            inputs=[
                widgets.guide("From Load CLIP Guide; used for the comparison."),
                widgets.prompt(
                    widgets.DEMO_PROMPT,
                    "One per line; each gets one image. Of a weighted prompt, only the parts "
                    "above 0 are used.",
                    name="prompts",
                ),
                widgets.image(
                    "The images to choose from, as a batch; or name a folder.", optional=True
                ),
                folder_input(optional=True),
                io.Combo.Input(
                    "choose",
                    options=list(CHOICES),
                    default=CHOICES[0],
                    tooltip="best: the most similar image. top percent: one of the most similar, "
                    "drawn with seed, for more variety. random: any, for comparison.",
                ),
                *_drawing(),
                _size_input(),
            ],
            outputs=[
                widgets.image_output("One image per prompt, in the same order: for TiTok Encode."),
                widgets.text_output("scores", "The table: one line per prompt below its head."),
                widgets.text_output(
                    "chosen",
                    "The selected files, or indices in the batch counted from 0, one per line.",
                ),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = "", **others) -> str | float:
        return folder_fingerprint(folder)

    @classmethod
    def execute(
        cls,
        guide: LoadedGuide,
        prompts: str,
        choose: str,
        image: Tensor | None = None,
        folder: str = "",
        percent: float = 10.0,
        seed: int = 0,
        size: int = 256,
    ) -> io.NodeOutput:
        texts = target_texts(prompt_lines(prompts, "prompts"))
        check_words(guide, texts, "prompts")
        if choose == "top percent":
            top_count(1, percent)  # before a large folder is read
        pool = _pool(guide, image, folder, size, len(texts))
        with torch.inference_mode(False):
            scores = _scores(guide, texts, pool)
            chosen = choose_images(scores, choose, percent=percent, seed=seed)
            images = _images(pool, chosen)
        report = "\n".join([_table(texts, pool, scores, chosen), *_notes(guide, texts, pool)])
        names = "\n".join(pool.names[index] for index in chosen)
        return io.NodeOutput(images, report, names, ui={"tokenopt_notes": [report]})


def _drawing() -> list[io.Input]:
    return [
        io.Float.Input(
            "percent",
            default=10.0,
            min=0.0,
            max=100.0,
            step=1.0,
            round=0.001,
            optional=True,
            tooltip="For top percent: the percentage of images to draw from, at least one image. "
            "More: more variety, a looser match.",
        ),
        widgets.seed(
            "Seed for top percent and random: prompt k uses seed + k, so the same prompt on "
            "several lines gets different images.",
            optional=True,
        ),
    ]


def _size_input() -> io.Input:
    return advanced(
        io.Int.Input(
            "size",
            default=256,
            min=SIZES[0],
            max=SIZES[1],
            step=16,
            optional=True,
            tooltip="For a folder: selected images are center-cropped and resized to this many "
            "pixels per side; more than the tokenizer's size has no benefit. Images of a batch "
            "keep their size.",
        )
    )


def _pool(guide: LoadedGuide, image: Tensor | None, folder: str, size: int, prompts: int) -> Pool:
    """The candidates: of the batch or of the folder, whichever is given."""
    named = bool(folder.strip())
    if named and image is not None:
        raise ValueError(
            f"image is connected and folder is {shown(folder)}, expected one of the two; clear "
            "folder or disconnect image."
        )
    if image is not None:
        images = to_images(image)
        _check_room(prompts, *images.shape[2:])
        return pool_of_batch(guide, images)
    if not named:
        raise ValueError(
            "image is not connected and folder is empty, expected one of the two; connect a batch "
            "of images or name a folder of ComfyUI's input directory."
        )
    _check_room(prompts, size, size)
    return pool_of_folder(guide, folder, size)


def _check_room(prompts: int, height: int, width: int) -> None:
    """Raises ValueError if so many chosen images were too many to hold."""
    if prompts * height * width > MOST_PIXELS:
        raise ValueError(
            f"prompts has {prompts} lines, and as many images of {width} x {height} pixels are "
            f"{prompts * height * width // 10**6} megapixels, expected at most "
            f"{MOST_PIXELS // 10**6}; give fewer prompts or smaller images."
        )


def _scores(guide: LoadedGuide, texts: list[str], pool: Pool) -> Tensor:
    """Similarities (p, i) of all prompts with all candidates."""
    parts = []
    for first in range(0, len(texts), TEXTS_PER_CHUNK):
        model_management.throw_exception_if_processing_interrupted()
        chunk = texts[first : first + TEXTS_PER_CHUNK]
        parts.append(similarities(guide.module, chunk, pool.embeddings))
    return torch.cat(parts)


def _images(pool: Pool, chosen: list[int]) -> Tensor:
    """IMAGE of the chosen candidates; each is read once."""
    images = {}
    for index in dict.fromkeys(chosen):
        model_management.throw_exception_if_processing_interrupted()
        images[index] = from_images(pool.image(index)[None])
    return torch.cat([images[index] for index in chosen])


def _table(texts: list[str], pool: Pool, scores: Tensor, chosen: list[int]) -> str:
    """One line per prompt: the chosen candidate, its similarity and rank, and those of the pool."""
    rows = [["prompt", "chosen", "CLIP", "rank", "best", "mean"]]
    for text, index, row in zip(texts, chosen, scores, strict=True):
        rank = int((row > row[index]).sum()) + 1
        rows.append(
            [
                cut(text, LONGEST),
                pool.names[index],
                f"{row[index]:.3f}",
                f"{rank} of {len(row)}",
                f"{row.max():.3f}",
                f"{row.mean():.3f}",
            ]
        )
    return plain_table(rows)


def _notes(guide: LoadedGuide, texts: list[str], pool: Pool) -> list[str]:
    return [f"note: {note}" for note in (*pool.notes, *guide.module.remarks(texts))]
