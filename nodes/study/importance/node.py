"""Token Importance: which positions carry what tells images apart (arXiv 2506.08257, section 3.1).

Axes: b images, n tokens, d token size, p texts, s = the tokenizer's image size.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ....tokenopt_core.images.fit import fit_images
from ....tokenopt_core.study.importance import REPLACEMENTS
from ...host import widgets
from ...host.compat import CATEGORY, advanced, io, schema
from ...host.image_folder import folder_fingerprint, folder_input, list_images, readable_images
from ...host.images import from_images, to_images
from ...host.sockets import Caption, LoadedGuide, LoadedTokenizer
from ...loaders.captions import captioned
from ...losses.prompts import check_words
from .report import charts, notes, positions_text, table
from .run import OFF, Effect, comparisons, measure

MOST_BEST, MOST_IMAGES = 16, 1024
PROMPTS = "bright\ndark\n\nsharp\nblurred"


class TokenImportance(io.ComfyNode):
    """Images partitioned by CLIP, and what that tells about the token at each position."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Importance",
            display_name="Token Importance",
            category=f"{CATEGORY}/editing",
            description="Finds the tokens that carry a property: CLIP sorts images by prompts "
            "such as bright and dark, and the positions whose tokens differ most between them are "
            "selected.",
            search_aliases=["which token", "explain", "clip", "attribution"],
            has_intermediate_output=True,
            inputs=[
                widgets.tokenizer(),
                widgets.guide("From Load CLIP Guide; used to sort the images."),
                widgets.prompt(
                    PROMPTS,
                    "Two or more, one per line; each image is assigned to the one it matches "
                    "best. An empty line starts another comparison of the same images.",
                    name="prompts",
                ),
                widgets.image(
                    "The images to analyse, 30 or more of each kind if possible; or name a folder.",
                    optional=True,
                ),
                folder_input(optional=True),
                io.Int.Input(
                    "best",
                    default=1,
                    min=1,
                    max=MOST_BEST,
                    optional=True,
                    tooltip="Number of positions of each comparison to output. More: a stronger, "
                    "less selective effect.",
                ),
                io.Combo.Input(
                    "effect",
                    options=[OFF, *REPLACEMENTS],
                    default=OFF,
                    optional=True,
                    tooltip="Also measures what a token does: replaces it by the images' mean, or "
                    "by random codes (not for a VAE), and checks whether the image still matches "
                    "its prompt. Decodes every image once for each position. off: not measured.",
                ),
                *_advanced(),
            ],
            outputs=[
                widgets.image_output(
                    "One bar chart per comparison, with a bar for each position.", "chart"
                ),
                widgets.text_output(
                    "positions", "The best positions, for the positions input of Token Copy."
                ),
                widgets.text_output("table", "The values for every position, as columns of text."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = "", **others) -> str | float:
        """Other files in the folder are another input."""
        return folder_fingerprint(folder)

    @classmethod
    def needs_codebook(cls, effect: str = OFF, **inputs) -> bool:
        return effect == "random"

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        guide: LoadedGuide,
        prompts: str,
        image: Tensor | None = None,
        folder: str = "",
        best: int = 1,
        effect: str = OFF,
        effect_images: int = 32,
        seed: int = 0,
        caption: Caption | None = None,
    ) -> io.NodeOutput:
        groups = comparisons(prompts)
        check_words(guide, sum(groups, ()), "prompts")
        skipped: list[str] = []
        count, images = _images(image, folder, tokenizer.spec.image_size, skipped)
        wanted = Effect(effect, effect_images, seed)
        if effect != OFF:  # which decodes; the charts are drawn
            tokenizer = captioned(tokenizer, caption)
        partitions, responses = measure(tokenizer, guide, groups, images, count, wanted)
        best = min(best, tokenizer.spec.num_tokens)
        figures = table(partitions, responses)
        report = "\n".join([figures, *notes(partitions, skipped, best)])
        return io.NodeOutput(
            from_images(charts(partitions, responses, effect, best)),
            positions_text(partitions, best),
            figures,
            ui={"tokenopt_notes": [report, *guide.module.remarks(sum(groups, ()))]},
        )


def _advanced() -> list[io.Input]:
    return [
        advanced(
            io.Int.Input(
                "effect_images",
                default=32,
                min=1,
                max=MOST_IMAGES,
                optional=True,
                tooltip="Number of images to measure the effect on, spread over all. More: more "
                "reliable figures, longer wait.",
            )
        ),
        advanced(widgets.seed("Seed for the random codes of the effect random.", optional=True)),
        widgets.caption(),
    ]


def _images(
    image: Tensor | None, folder: str, size: int, skipped: list[str]
) -> tuple[int, Iterator[Tensor]]:
    """How many images (3, size, size) there are at most, and the images one after the other."""
    if (image is None) == (not folder.strip()):
        state = "neither an image nor a folder" if image is None else "both an image and a folder"
        raise ValueError(
            f"Token Importance has {state}; connect the one or name the other, inside ComfyUI's "
            "input directory."
        )
    if image is not None:
        images = to_images(image)
        squares = (fit_images(one, size)[0] for one in images.split(1))
        count = len(images)
    else:
        paths = list_images(folder)
        squares = (read for _, read in readable_images(paths, size, skipped))
        count = len(paths)
    if count < 2:
        raise ValueError(f"there is only {count} image; expected 2 or more to compare.")
    return count, squares
