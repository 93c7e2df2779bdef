"""Stage 1 of the next demo tokenizer: it learns the VQGAN's codes (arXiv 2406.07550, section 3.3).

The loss, the optimizer's groups, the schedule and the clustering update are the published ones; a
small network on few images needs besides what `tokenizer.py` found: other initial values, a first
phase without quantization, and a codebook that starts at k-means centres.

Axes: b images, n tokens, d token size, p = 64 positions of the pixel stage.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tokenopt_core.tokenizers import TiTok
from tokenopt_core.tokenizers.spec import TokenizerSpec, ViTSize

from .codebook import CodebookLearner
from .processes import average_gradients, gathered
from .recipe.clustering import ClusteringUpdate
from .recipe.losses import proxy_loss
from .recipe.schedules import ParameterAverage, decay_groups, learning_rate
from .recipe.stages import proxy_stage_loss, take_pixel_stage, train_proxy_stage
from .scenes import ScenePool
from .tokenizer import in_bfloat16, initialize
from .vqgan import PIXEL_STAGE, Vqgan

SPEC = TokenizerSpec(
    name="demo",
    image_size=128,
    num_tokens=32,
    token_size=12,
    codebook_size=1024,
    l2_normalized=True,
    encoder=ViTSize(width=192, layers=4, heads=3),
    decoder=ViTSize(width=192, layers=5, heads=3),
    encoder_patch=16,
    decoder_patch=16,
    legacy=True,
    pixel_stage=PIXEL_STAGE,
)
FREE_SHARE = 0.08  # of the run, before quantization starts
WARMUP_SHARE = 0.01  # as published


class ProxyTask:
    """Cross entropy of the VQGAN's codes, and the codebook's losses."""

    name = "stage1"
    peak_lr, last_lr = 1e-3, 1e-4  # published: 1e-4 and 1e-5, for a width of 1024

    def __init__(
        self,
        pool: ScenePool,
        vqgan: Vqgan,
        *,
        spec: TokenizerSpec = SPEC,
        steps: int = 40000,
        batch: int = 16,
        seed: int = 53,
    ):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch = pool, steps, batch
        self.generator = torch.Generator().manual_seed(seed)
        device = pool.images.device
        self.vqgan = vqgan.to(device)
        model = TiTok(spec)
        initialize(model)
        take_pixel_stage(model, vqgan)
        self.model = train_proxy_stage(model).to(device)
        self.start = CodebookLearner(self.model.quantize.embedding).to(device)
        self.model.quantize.requires_grad_(True)  # here the optimizer moves the codes
        self.clustering = ClusteringUpdate(self.model.quantize).to(device)
        self.average = ParameterAverage(self.model)
        self.modules = {
            "model": self.model,
            "start": self.start,
            "clustering": self.clustering,
            "average": self.average,
        }
        groups = decay_groups(self.model.named_parameters(), 1e-4)
        self.optimizer = torch.optim.AdamW(groups, self.peak_lr, betas=(0.9, 0.99))

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of scenes."""
        rate = learning_rate(
            progress, base=self.peak_lr, end=self.last_lr, warmup=WARMUP_SHARE, steps=1
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        images, _ = self.pool.batch(self.batch, self.generator)
        with torch.no_grad():
            proxy = self.vqgan.quantize(self.vqgan.encode(images)).codes  # (b, p)
        if progress < FREE_SHARE and not self.start.started:
            loss, logits = self._free_loss(images, proxy)
        else:
            self.start.start(self.generator)
            parts = proxy_stage_loss(self.model, images, proxy, run=in_bfloat16)
            loss, logits = parts.total, parts.logits
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        trained = [p for p in self.model.parameters() if p.requires_grad]
        average_gradients(trained)
        nn.utils.clip_grad_norm_(trained, 1.0)
        self.optimizer.step()
        figures = {"right": (logits.argmax(-1) == proxy).float().mean().item()}
        if self.start.started:
            chosen = gathered(parts.features.detach()), gathered(parts.codes)
            self.clustering(self.model.quantize, *chosen)
            figures["codes"] = (self.clustering.usage > 1e-5).float().mean().item()
        self.average.update(self.model)
        return figures | {"cross_entropy": proxy_loss(logits.detach(), proxy).item()}

    def _free_loss(self, images: Tensor, proxy: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and logits (b, p, classes) without quantization."""
        features = in_bfloat16(self.model.encoder, images, self.model.latent_tokens)
        unit = functional.normalize(features, dim=-1)
        self.start.remember(gathered(unit.detach()))
        logits = in_bfloat16(self.model.decoder, unit, None)
        return proxy_loss(logits, proxy), logits
