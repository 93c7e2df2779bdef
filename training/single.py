"""One stage instead of two: encoder, codebook and decoder learn pixels at once.

TA-TiTok's losses and its clustering update (arXiv 2501.07730, section 3.1), for a tokenizer whose
decoder draws patches of pixels. Axes: b images, n tokens, d token size.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from tokenopt_core.tokenizers import TiTok
from tokenopt_core.tokenizers.spec import TokenizerSpec

from .codebook import CodebookLearner
from .pixels import PixelTask
from .processes import gathered
from .proxy import FREE_SHARE
from .proxy import SPEC as TWO_STAGES
from .recipe.clustering import ClusteringUpdate
from .recipe.losses import Perceptual, quantizer_loss
from .scenes import ScenePool
from .tokenizer import in_bfloat16, initialize

SPEC = TokenizerSpec(
    name="demo",
    image_size=TWO_STAGES.image_size,
    num_tokens=TWO_STAGES.num_tokens,
    token_size=TWO_STAGES.token_size,
    codebook_size=TWO_STAGES.codebook_size,
    l2_normalized=True,
    encoder=TWO_STAGES.encoder,
    decoder=TWO_STAGES.decoder,
    encoder_patch=16,
    decoder_patch=16,
)


class SingleStageTask(PixelTask):
    """Stage 2's losses of the whole tokenizer, and its codebook's."""

    name = "single"
    peak_lr, last_lr = 1e-3, 1e-4
    adversarial_weight = 0.1  # as published

    def __init__(
        self,
        pool: ScenePool,
        *,
        perceptual: Perceptual | None = None,
        spec: TokenizerSpec = SPEC,
        steps: int = 40000,
        batch: int = 16,
        width: int = 32,
        seed: int = 55,
    ):
        torch.manual_seed(seed)
        model = TiTok(spec)
        initialize(model)
        start = CodebookLearner(model.quantize.embedding)
        super().__init__(
            pool, model, perceptual=perceptual, steps=steps, batch=batch, width=width, seed=seed
        )
        device = pool.images.device
        self.start = start.to(device)
        self.clustering = ClusteringUpdate(model.quantize).to(device)
        self.modules |= {"start": self.start, "clustering": self.clustering}

    def _trained(self, model: TiTok) -> TiTok:
        return model.requires_grad_(True).train()

    def _decoded(self, images: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        model = self.model
        features = in_bfloat16(model.encoder, images, model.latent_tokens)
        if progress < FREE_SHARE and not self.start.started:
            tokens = functional.normalize(features, dim=-1)
            self.start.remember(gathered(tokens.detach()))
            rest = features.new_zeros(())
        else:
            self.start.start(self.generator)
            tokens, codes = model.quantize(features)
            rest = quantizer_loss(model.quantize, features, codes)
            self._chosen = gathered(features.detach()), gathered(codes)
        return in_bfloat16(model.decoder, tokens, None), rest

    def step(self, progress: float) -> dict[str, float]:
        """One update of the tokenizer, of its codebook, and of the discriminator."""
        figures = super().step(progress)
        if self.start.started:
            self.clustering(self.model.quantize, *self._chosen)
            figures["codes"] = (self.clustering.usage > 1e-5).float().mean().item()
        return figures
