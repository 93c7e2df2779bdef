"""Pixel Influence: where in the image each token acts (arXiv 2506.08257, section 3.1).

Axes: b images, n tokens, s = the tokenizer's image size, h and w pixels of the sheet.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.study.influence import pixel_influence
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import from_images, from_pil, to_pil
from ..host.memory import images_per_chunk
from ..host.models import activation_bytes, gradient_scope
from ..host.progress import BatchProgress
from ..host.sockets import Caption, LoadedTokenizer, Tokens
from ..loaders.captions import captioned
from ..report.sheet import Tile, draw_grid, heat

MOST_SAMPLES = 1024
SHEET_WIDTH, WIDEST_TILE = 1600, 160


class PixelInfluence(io.ComfyNode):
    """A heat map for each position: what changes in the image when its code does."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_PixelInfluence",
            display_name="Pixel Influence",
            category=f"{CATEGORY}/editing",
            description="Shows where in the image each token acts: replaces it by random codes "
            "and measures how much every pixel changes.",
            search_aliases=["heatmap", "saliency", "receptive field", "where"],
            inputs=[
                widgets.tokenizer("The tokenizer to use, from Load TiTok; not a VAE."),
                widgets.tokens("Tokens of one image, or of several, whose maps are averaged."),
                io.Int.Input(
                    "samples",
                    default=16,
                    min=1,
                    max=MOST_SAMPLES,
                    tooltip="Number of random codes per token. More: smoother maps, longer wait; "
                    "every sample decodes one image for each token.",
                ),
                widgets.seed("Seed for the codes. Image k of a batch uses seed + k."),
                widgets.caption(),
            ],
            outputs=[
                widgets.image_output("All maps with their positions, on one scale.", "sheet"),
                widgets.image_output("The maps in colour, one image per position.", "maps"),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="The maps as masks, one per position: 1 where it acts most.",
                ),
            ],
        )

    @classmethod
    def needs_codebook(cls, **inputs) -> bool:
        return True

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens: Tokens,
        samples: int,
        seed: int,
        caption: Caption | None = None,
    ) -> io.NodeOutput:
        maps = _maps(captioned(tokenizer, caption), tokens, samples, seed)
        highest = maps.amax((1, 2), keepdim=True).clamp(min=1e-12)
        return io.NodeOutput(
            from_images(sheet(maps)), from_images(heat(maps / highest.max())), maps / highest
        )


def _maps(tokenizer: LoadedTokenizer, tokens: Tokens, samples: int, seed: int) -> Tensor:
    """The influence of each position on each pixel, (n, s, s)."""
    size = tokenizer.spec.image_size
    batch = images_per_chunk(size)
    memory = activation_bytes(size, batch, gradients=False)
    with gradient_scope(tokenizer, memory=memory) as device, torch.no_grad():
        values = tokens.values.to(device)
        if not tokens.quantized:
            values = tokenizer.module.quantize(values).tokens
        total = len(tokens) * samples * tokenizer.spec.num_tokens
        return pixel_influence(
            tokenizer.module,
            values,
            samples=samples,
            seed=seed,
            batch=batch,
            progress=BatchProgress(total),
        ).cpu()


def sheet(maps: Tensor) -> Tensor:
    """All maps (n, s, s) with position and mean on one page, (1, 3, h, w) in [0, 1]."""
    colours = heat(maps / maps.max().clamp(min=1e-12))
    shares = maps.mean((1, 2))
    tiles = [
        Tile(to_pil(image), f"position {k}", f"mean {share:.4f}")
        for k, (image, share) in enumerate(zip(colours, shares.tolist(), strict=True))
    ]
    columns = next(c for c in (8, 16, 32) if len(tiles) / c <= 32 or c == 32)
    width = min(WIDEST_TILE, SHEET_WIDTH // columns)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    return from_pil(draw_grid(rows, width=width))
