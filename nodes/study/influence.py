"""Pixel Influence: where in the image each token acts (arXiv 2506.08257, section 3.1).

Axes: b images, n tokens, s = the tokenizer's image size, h and w pixels of a picture.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...tokenopt_core.study.influence import pixel_influence
from ..host.compat import CATEGORY, io, schema
from ..host.images import from_images
from ..host.models import activation_bytes, gradient_scope
from ..host.parts import Counter, images_at_once
from ..host.sockets import LoadedGuide, LoadedTokenizer, TokenizerSocket, Tokens, TokensSocket
from ..report.sheet import Tile, draw_grid
from ..tokens.random_tokens import SEEDS

LOOK_BYTES = 640  # of a pixel that a guide sees: 40 with ViT-B-32, 633 with SO400M-14-SigLIP-384
MOST_SAMPLES = 1024
SHEET_WIDTH, WIDEST_TILE = 1600, 160
# Dark to light like heat, in steps that stay apart without colour too (as "inferno" does).
_HEAT = ((0.00, 0.00, 0.02), (0.26, 0.04, 0.41), (0.58, 0.15, 0.40), (0.87, 0.32, 0.23),
         (0.99, 0.65, 0.04), (0.99, 1.00, 0.64))  # fmt: skip


class PixelInfluence(io.ComfyNode):
    """A heat map for each position: what changes in the image when its code does."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_PixelInfluence",
            display_name="Pixel Influence",
            category=f"{CATEGORY}/editing",
            description="Shows where in the image each token acts: gives it other random codes and "
            "measures how much every pixel changes.",
            search_aliases=["heatmap", "saliency", "receptive field", "where"],
            inputs=[
                TokenizerSocket.Input(
                    "tokenizer", tooltip="The tokenizer to use, from Load TiTok; not a VAE."
                ),
                TokensSocket.Input(
                    "tokens",
                    tooltip="Tokens of one image, or of several: the maps are then their mean.",
                ),
                io.Int.Input(
                    "samples",
                    default=16,
                    min=1,
                    max=MOST_SAMPLES,
                    tooltip="How many other codes each token gets. More: smoother maps, longer "
                    "wait; every sample decodes one image for each token.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=SEEDS - 1,
                    tooltip="Chooses the codes. Image k of a batch has seed + k.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="sheet", tooltip="All maps with their positions, on one scale."
                ),
                io.Image.Output(
                    display_name="maps", tooltip="The maps in colour, one image per position."
                ),
                io.Mask.Output(
                    display_name="masks",
                    tooltip="The maps as masks, one per position: 1 where it acts most.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls, tokenizer: LoadedTokenizer, tokens: Tokens, samples: int, seed: int
    ) -> io.NodeOutput:
        tokens.check_tokenizer(tokenizer)
        tokenizer.check_decodable()
        check_codebook(tokenizer)
        size = tokenizer.spec.image_size
        batch = images_at_once(size)
        memory = activation_bytes(size, batch, gradients=False)
        with gradient_scope(tokenizer, memory=memory) as device, torch.no_grad():
            values = tokens.values.to(device)
            if not tokens.quantized:
                values = tokenizer.module.quantize(values).tokens
            total = len(tokens) * samples * tokenizer.spec.num_tokens
            maps = pixel_influence(
                tokenizer.module,
                values,
                samples=samples,
                seed=seed,
                batch=batch,
                progress=Counter(total),
            ).cpu()
        highest = maps.amax((1, 2), keepdim=True).clamp(min=1e-12)
        return io.NodeOutput(
            from_images(sheet(maps)), from_images(heat(maps / highest.max())), maps / highest
        )


def look_bytes(guide: LoadedGuide, looks: int) -> int:
    """Bytes that a guide needs besides its weights to look at so many pictures at once, without
    gradients."""
    return looks * guide.module.image_size**2 * LOOK_BYTES


def check_codebook(tokenizer: LoadedTokenizer) -> None:
    """Raises ValueError if the tokenizer has no codes to vary."""
    if tokenizer.spec.kind == "vae":
        raise ValueError(
            f"tokenizer {tokenizer.name!r} is a VAE, which has no codes to vary; choose one with a "
            "codebook, whose name has no 'vae'."
        )


def sheet(maps: Tensor) -> Tensor:
    """All maps (n, s, s) with position and mean on one page, (1, 3, h, w) in [0, 1]."""
    pictures = heat(maps / maps.max().clamp(min=1e-12))
    shares = maps.mean((1, 2))
    tiles = [
        Tile(_picture(picture), f"position {k}", f"mean {share:.4f}")
        for k, (picture, share) in enumerate(zip(pictures, shares.tolist(), strict=True))
    ]
    columns = next(c for c in (8, 16, 32) if len(tiles) / c <= 32 or c == 32)
    width = min(WIDEST_TILE, SHEET_WIDTH // columns)
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    drawn = draw_grid(rows, width=width)
    return torch.from_numpy(np.asarray(drawn).copy()).movedim(2, 0)[None].float() / 255


def heat(maps: Tensor) -> Tensor:
    """Colours (n, 3, s, s) in [0, 1] of maps (n, s, s) from 0 to 1."""
    colours = torch.tensor(_HEAT)
    place = maps.clamp(0, 1) * (len(colours) - 1)
    low = place.floor().long().clamp(max=len(colours) - 2)
    part = (place - low).unsqueeze(-1)
    return ((1 - part) * colours[low] + part * colours[low + 1]).movedim(-1, 1)


def _picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image.movedim(0, 2) * 255).round().byte().numpy())
