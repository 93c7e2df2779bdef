"""Trains the 2D comparator of `benchmarks/science`: the demo tokenizer with tokens on a grid.

The same networks, number of tokens, codebook, losses and data as the demo tokenizer, but token k
belongs to the k-th square of a 4 x 4 grid: it is the mean of that square's patches, and the decoder
adds it to them instead of reading it as one of a sequence. What differs in the results is the
layout alone (arXiv 2506.08257, table 2, compares with MaskGIT's convolutional VQGAN, which has also
more tokens). Starts from the shipped weights; never shipped itself.

Axes: b images, n = 16 tokens, d token size, p = 64 patches, w width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from tokenopt_core.tokenizers import load_tokenizer
from tokenopt_core.tokenizers.titok import Decoder, Encoder, TiTok, pointwise, unpatch
from tokenopt_core.tokenizers.transformer import run_blocks

from .classifiers import FeatureNet
from .scenes import ScenePool
from .tokenizer import TokenizerTask


class GridEncoder(Encoder):
    """Images (b, 3, s, s) -> features (b, n, d), one for each square of patches."""

    def forward(self, images: Tensor, latent_tokens: Tensor) -> Tensor:
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)  # (b, p, w)
        first = (self.class_embedding + self.positional_embedding[:1]).expand(len(images), -1, -1)
        x = torch.cat((first, patches + self.positional_embedding[1:]), dim=1)
        x = run_blocks(self.transformer, self.ln_pre(x), slice(1, None))
        squares = _fold(self.ln_post(x), len(latent_tokens)).mean(2)  # (b, n, w)
        return pointwise(self.conv_out, squares)


class GridDecoder(Decoder):
    """Tokens (b, n, d) -> images (b, 3, s, s); a token reaches the image through its own square."""

    def forward(self, tokens: Tensor, text: None) -> Tensor:
        batch, patches = len(tokens), self.grid**2
        image_side = torch.cat((self.class_embedding, self.mask_token[0].expand(patches, -1)))
        x = (image_side + self.positional_embedding).expand(batch, -1, -1)
        drawn = x[:, 1:] + _unfold(self.decoder_embed(tokens), patches)
        x = self.ln_pre(torch.cat((x[:, :1], drawn), dim=1))
        x = self.ln_post(run_blocks(self.transformer, x, slice(1, None)))  # (b, p, w)
        return self.conv_out(unpatch(pointwise(self.ffn[0], x), self.grid))


def as_grid(model: TiTok) -> TiTok:
    """The same model, its tokens tied to squares from now on; the parameters stay what they are."""
    model.encoder.__class__, model.decoder.__class__ = GridEncoder, GridDecoder
    return model


def load_grid(folder: Path, dtype: torch.dtype = torch.float32) -> TiTok:
    """The frozen comparator from the folder that the stage `grid` wrote."""
    return as_grid(load_tokenizer(folder, dtype=dtype))


class GridTask(TokenizerTask):
    """The demo tokenizer's training, from its weights but with a codebook of its own."""

    name = "grid"
    peak_lr = 1e-3

    def __init__(self, pool: ScenePool, features: FeatureNet, *, steps: int = 8000, seed: int = 4):
        super().__init__(pool, features, steps=steps, seed=seed)
        shipped = load_tokenizer("demo").state_dict()
        for model in (self.model, self.average.module[0]):
            model.load_state_dict({k: v.to(model.state_dict()[k]) for k, v in shipped.items()})
            as_grid(model)


def _fold(x: Tensor, squares: int) -> Tensor:
    """Row-major patches (b, p, w) by the square they lie in: (b, squares, p / squares, w)."""
    side = round(squares**0.5)
    patch = round((x.shape[1] / squares) ** 0.5)
    x = x.reshape(len(x), side, patch, side, patch, x.shape[2])
    return x.transpose(2, 3).reshape(len(x), squares, patch**2, x.shape[-1])


def _unfold(x: Tensor, patches: int) -> Tensor:
    """Squares (b, n, w) repeated for each of their patches, row-major: (b, patches, w)."""
    side = round(x.shape[1] ** 0.5)
    patch = round((patches / x.shape[1]) ** 0.5)
    x = x.unflatten(1, (side, side))
    return x.repeat_interleave(patch, 1).repeat_interleave(patch, 2).flatten(1, 2)
