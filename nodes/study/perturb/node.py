"""Token Perturb Search: the strongest codes of a position (arXiv 2506.08257, equation 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from ....tokenopt_core.study.perturb import FORMER_METHODS, METHODS, SearchConfig
from ....tokenopt_core.tokens.positions import parse_positions
from ...host import widgets
from ...host.compat import CATEGORY, io, schema
from ...host.images import from_images, to_masks
from ...host.sockets import Caption, LoadedTokenizer, Tokens
from ...loaders.captions import captioned
from ...losses.recipe import LossRecipe, recipe_of
from .report import codes_text, live_sheet, notes, sheets, table
from .run import run_search

MOST_RESULTS = 2048  # images
MOST_RANKS = 64
DIRECTIONS = ("maximize", "minimize")


class PerturbSearch(io.ComfyNode):
    """For each position the codes that change the image most, or serve a loss best."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_PerturbSearch",
            display_name="Token Perturb Search",
            category=f"{CATEGORY}/editing",
            description="Tries other codes for one token and finds those that change the image "
            "most, or that minimize or maximize a connected loss. Several positions are searched "
            "independently.",
            search_aliases=["explore", "variations", "edit tokens", "search codes"],
            has_intermediate_output=True,
            inputs=[*_sockets(), *_settings(), *_optional()],
            outputs=[
                widgets.image_output(
                    "The edited images: by image, position and rank, the best first."
                ),
                widgets.tokens_output("Quantized tokens of each edited image."),
                widgets.text_output("codes", "All codes of each edited image, one image per line."),
                widgets.text_output(
                    "table", "Position, old code, new code and loss of each result (Markdown)."
                ),
                widgets.image_output(
                    "The original, the edits and where they differ, one page per image.", "sheet"
                ),
            ],
        )

    @classmethod
    def needs_codebook(cls, **inputs) -> bool:
        return True

    @classmethod
    def validate_inputs(cls, search: str) -> bool:
        return True  # former methods are not in the menu; the guard refuses unknown ones

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens: Tokens,
        positions: str,
        search: str,
        share: float,
        direction: str,
        top_k: int,
        loss: LossRecipe | None = None,
        mask: Tensor | None = None,
        caption: Caption | None = None,
    ) -> io.NodeOutput:
        config = _config(search, share, direction, top_k)
        chosen = parse_positions(positions, tokenizer.spec.num_tokens)
        _check_size(len(tokens), len(chosen), min(top_k, tokenizer.spec.codebook_size - 1))
        recipe = None if loss is None else recipe_of(loss)
        mask = None if mask is None else _mask(mask)
        tokenizer = captioned(tokenizer, caption)
        results = run_search(
            tokenizer, tokens, chosen, config, loss=recipe, mask=mask, draw=live_sheet
        )
        scores, pages = table(results.replacements), sheets(results.replacements)
        codebook_size = tokenizer.spec.codebook_size
        remarks = notes(results.replacements, config, codebook_size, recipe is not None, len(pages))
        return io.NodeOutput(
            from_images(torch.cat([result.images for result in results.replacements])),
            Tokens(results.values, True, tokenizer.name),
            codes_text(results.codes),
            scores,
            from_images(pages),
            ui={"tokenopt_notes": [scores, *remarks]},
        )


def _sockets() -> list[io.Input]:
    return [
        widgets.tokenizer("The tokenizer to use, from Load TiTok; not a VAE."),
        widgets.tokens(
            "Tokens of the images to change, each searched independently; quantized first if "
            "needed."
        ),
        widgets.positions(
            "0",
            "Which tokens to try other codes at, counted from 0: numbers and ranges, or all. One "
            "at a time is replaced; the others stay.",
            placeholder="18, 31 or 0-3, 7 or all",
        ),
    ]


def _settings() -> list[io.Input]:
    return [
        widgets.former_choices(
            FORMER_METHODS,
            io.Combo.Input(
                "search",
                options=list(METHODS),
                default=METHODS[1],
                tooltip="exact: decodes every code. guided: decodes a share and learns from it "
                "where to look.",
            ),
        ),
        io.Float.Input(
            "share",
            default=0.1,
            min=0.001,
            max=1.0,
            step=0.01,
            round=0.0001,
            tooltip="Part of the codebook that guided decodes. More: slower, and the best is found "
            "more often. Not used by exact.",
        ),
        io.Combo.Input(
            "direction",
            options=list(DIRECTIONS),
            default=DIRECTIONS[0],
            tooltip="maximize: the largest change, or the largest value of the connected loss. "
            "minimize: the least visible change, or what the connected loss asks for.",
        ),
        io.Int.Input(
            "top_k",
            default=4,
            min=1,
            max=MOST_RANKS,
            tooltip="How many of the best codes to show for each position. More: more images.",
        ),
    ]


def _optional() -> list[io.Input]:
    return [
        widgets.loss(
            "What to search by, for example CLIP Loss with minimize. Not connected: the mean "
            "difference to the original image (paper).",
            optional=True,
        ),
        widgets.mask(
            "Only changes where it is white count. A connected loss sees the original image "
            "elsewhere. Cropped and resized as by TiTok Encode; one, or one per image.",
            optional=True,
        ),
        widgets.caption(),
    ]


def _config(search: str, share: float, direction: str, top_k: int) -> SearchConfig:
    return SearchConfig(
        top_k=top_k, maximize=direction == DIRECTIONS[0], method=search, share=share
    )


def _check_size(images: int, positions: int, top_k: int) -> None:
    """Raises ValueError if the results were too many to keep."""
    if images * positions * top_k > MOST_RESULTS:
        raise ValueError(
            f"{images} images x {positions} positions x top_k {top_k} are "
            f"{images * positions * top_k} results; expected at most {MOST_RESULTS}: lower top_k, "
            "or choose fewer positions or images."
        )


def _mask(mask: Tensor) -> Tensor:
    """The mask (1 | b, 1, h, w) in its own size."""
    size = tuple(mask.shape[-2:]) if isinstance(mask, Tensor) and mask.ndim > 1 else (1, 1)
    return to_masks(mask, size)
