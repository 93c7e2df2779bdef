"""Token Inspector: the codes behind an image, to look at, to select and to change one by one.

The strip itself is drawn by web/js/inspector.js. Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from ...tokenopt_core.checks import shortened
from ...tokenopt_core.tokenizers.spec import TokenizerSpec
from ...tokenopt_core.tokens.edits import parse_codes
from ...tokenopt_core.tokens.positions import parse_positions
from ..host import widgets
from ..host.compat import CATEGORY, io, schema, ui
from ..host.models import gradient_scope
from ..host.sockets import Caption, LoadedTokenizer, Tokens
from ..loaders.captions import captioned
from ..tokens.batches import decoded

MOST_STRIPS = 64  # a page with more of them is slow, and nobody reads it
_OF_IMAGE = re.compile(r"([0-9]{1,9})\s*/(.*)")

Edits = dict[tuple[int, int], int]  # (image, position) -> code


class Inspect(io.ComfyNode):
    """Tokens as codes: shown, selected and edited (arXiv 2506.08257, section 3)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Inspect",
            display_name="Token Inspector",
            category=f"{CATEGORY}/editing",
            description="Shows the code of every token as a coloured strip. Click cells to select "
            "positions, double-click one to change its code, drag it onto another strip to copy "
            "it; run again to see the image.",
            search_aliases=["edit tokens", "codes", "token editor", "view tokens"],
            inputs=[
                widgets.tokenizer(),
                widgets.tokens(),
                io.String.Input(
                    "edits",
                    default="",
                    placeholder="3: 417, 7: 12",
                    tooltip="Codes to set, as position: code, separated by commas; 1/3: 417 "
                    "changes only image 1 of a batch (the first is 0). The strip writes this when "
                    "you edit a cell. Empty: the tokens pass unchanged.",
                ),
                widgets.positions(
                    "",
                    "The selected positions, also an output for the inputs of that name. The strip "
                    "writes this when you click its cells. Empty: none.",
                ),
                widgets.caption(),
            ],
            outputs=[
                widgets.tokens_output("The tokens with these edits, otherwise unchanged."),
                widgets.text_output(
                    "positions", "The selected positions, as text for the inputs of that name."
                ),
                widgets.image_output("The images that the edited tokens decode to."),
            ],
            is_output_node=True,
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens: Tokens,
        edits: str = "",
        positions: str = "",
        caption: Caption | None = None,
    ) -> io.NodeOutput:
        spec = tokenizer.spec
        if positions.strip():
            parse_positions(positions, spec.num_tokens)
        wanted = parse_edits(edits, spec, len(tokens))
        edited, before, after = _with_edits(tokenizer, tokens, wanted)
        image = decoded(captioned(tokenizer, caption), edited)
        strips = _strips(spec, edited, before, after)
        report = {"tokenizer": tokenizer.name, "images": len(tokens), **strips}
        shown = ui.PreviewImage(image[:MOST_STRIPS]).as_dict()["images"]
        output = {"tokenopt_inspector": [report], "tokenopt_thumbnails": list(shown)}
        return io.NodeOutput(edited, positions.strip(), image, ui=output)


def parse_edits(text: str, spec: TokenizerSpec, images: int) -> Edits:
    """The codes that a text such as "3: 417, 1/7: 12" puts in; what names an image wins.

    Raises:
        ValueError: not of this form, an image, position or code that does not exist, or a tokenizer
            without codes.
    """
    by_image: dict[int | None, list[str]] = {}
    for part in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        match = _OF_IMAGE.fullmatch(part)
        image = int(match[1]) if match else None
        if image is not None and image >= images:
            raise ValueError(
                f"edits contains {shortened(part)!r} for image {image}, expected an image from 0 "
                f"to {images - 1}."
            )
        by_image.setdefault(image, []).append(match[2] if match else part)
    edits: Edits = {}
    for image in sorted(by_image, key=lambda image: image is not None):  # all images come first
        codes = parse_codes(", ".join(by_image[image]), spec, "edits")
        for target in range(images) if image is None else [image]:
            edits |= {(target, position): code for position, code in codes.items()}
    return edits


def _with_edits(
    tokenizer: LoadedTokenizer, tokens: Tokens, edits: Edits
) -> tuple[Tokens, Tensor | None, Tensor | None]:
    """The tokens with the edits, and the codes (b, n) before and after; a VAE has none."""
    module = tokenizer.module
    with gradient_scope(tokenizer) as device, torch.no_grad():
        features = tokens.values.to(device)
        before = module.quantize(features).codes
        if not edits:
            return tokens, before, before
        after = _edited(before, edits)
        features = torch.where((after != before)[..., None], module.lookup(after), features)
        edited = Tokens(features.float().cpu().clone(), tokens.quantized, tokenizer.name)
        return edited, before, after


def _edited(codes: Tensor, edits: Edits) -> Tensor:
    """Codes (b, n) with the edits."""
    codes = codes.clone()
    for (image, position), code in edits.items():
        codes[image, position] = code
    return codes


def _strips(
    spec: TokenizerSpec, tokens: Tokens, before: Tensor | None, after: Tensor | None
) -> dict[str, Any]:
    """What the page draws: codes before and after the edits, or a VAE's magnitudes, (b, n) each."""
    sizes = {"num_tokens": spec.num_tokens, "codebook_size": spec.codebook_size}
    if after is None:
        lengths = tokens.values[:MOST_STRIPS].norm(dim=-1)
        return sizes | {"magnitudes": [[round(x, 3) for x in row] for row in lengths.tolist()]}
    codes = {"codes": after.tolist()[:MOST_STRIPS], "before": before.tolist()[:MOST_STRIPS]}
    return sizes | codes
