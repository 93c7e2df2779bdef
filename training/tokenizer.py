"""Trains the demo tokenizer: a small TiTok with a direct pixel decoder.

What a small ViT needs to start quickly, found by measurement: linear layers with fan-in
initialization, sine-cosine positions of scale 0.6, whitened features (folded into the last layer
afterwards), a first phase without quantization, and a codebook that starts at k-means centres.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tokenopt_core.demo.world import ATTRIBUTES
from tokenopt_core.tokenizers.spec import Recommended, TokenizerSpec, ViTSize
from tokenopt_core.tokenizers.titok import TiTok

from .attention import plain_attention
from .classifiers import FeatureNet
from .codebook import CodebookLearner
from .loop import WeightAverage, attribute_loss, set_lr
from .scenes import ScenePool

SPEC = TokenizerSpec(
    name="demo",
    image_size=64,
    num_tokens=16,
    token_size=12,
    codebook_size=1024,
    l2_normalized=True,
    encoder=ViTSize(width=128, layers=4, heads=4),
    decoder=ViTSize(width=192, layers=5, heads=6),
    encoder_patch=8,
    decoder_patch=8,
    recommended=Recommended(lr=0.3, lr_schedule="cosine"),  # benchmarks.science, experiments "tune"
)
FREE_SHARE = 0.08  # of the run, before quantization starts


class TokenizerTask:
    """Reconstruction (pixels and features), commitment, and early attribute supervision."""

    name = "tokenizer"
    peak_lr = 1.2e-3

    def __init__(
        self,
        pool: ScenePool,
        features: FeatureNet,
        *,
        steps: int = 40000,
        batch: int = 32,
        seed: int = 3,
    ):
        torch.manual_seed(seed)
        self.pool, self.steps, self.batch, self.turn = pool, steps, batch, False
        self.generator = torch.Generator().manual_seed(seed)
        self.perceptual = features.eval().requires_grad_(False)
        self.model = TiTok(SPEC)
        initialize(self.model)
        self.whiten = nn.BatchNorm1d(SPEC.token_size, affine=False, momentum=0.01)
        self.codebook = CodebookLearner(self.model.quantize.embedding)
        token_count = SPEC.num_tokens * SPEC.token_size
        self.hidden = nn.Linear(token_count, 256)
        self.heads = nn.ModuleList(nn.Linear(256, len(v)) for v in ATTRIBUTES.values())
        self.average = WeightAverage(nn.ModuleList([self.model, self.whiten]))
        self.modules = {
            "model": self.model,
            "whiten": self.whiten,
            "codebook": self.codebook,
            "hidden": self.hidden,
            "heads": self.heads,
            "average": self.average,
        }
        trained = [p for n, p in self.model.named_parameters() if not n.startswith("quantize.")]
        trained += [*self.hidden.parameters(), *self.heads.parameters()]
        self.optimizer = torch.optim.AdamW(
            trained, self.peak_lr, betas=(0.9, 0.98), weight_decay=0.01
        )

    def step(self, progress: float) -> dict[str, float]:
        """One update on a batch of scenes; early on every other one is of the encoder alone.

        The encoder learns shape late and a third of the cost is its own, so it gets a lead.
        """
        set_lr(self.optimizer, progress, self.peak_lr)
        images, indices = self.pool.batch(self.batch, self.generator)
        tokens, commitment, spread = self._tokens(images, progress)
        hidden = functional.gelu(self.hidden(tokens.flatten(1)))
        attributes = attribute_loss([head(hidden) for head in self.heads], indices)
        help_weight = 1.5 * min(1.0, (1 - progress) / 0.2)
        loss = help_weight * attributes + 0.25 * commitment + 0.05 * spread
        figures = {"attributes": attributes.item(), "codes": self.codebook.used()}
        self.turn = not self.turn
        if self.turn or progress > 0.45:
            drawn, seen = self._drawing_loss(tokens, images, indices, progress)
            loss, figures = loss + drawn, figures | seen
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update(nn.ModuleList([self.model, self.whiten]), progress)
        return figures

    def _drawing_loss(
        self,
        tokens: Tensor,
        images: Tensor,
        indices: Tensor,
        progress: float,
        named_weight: float = 0.08,
    ) -> tuple[Tensor, dict[str, float]]:
        """Loss (scalar) of the decoded pixels and, in the first half of the rows, of what they
        show; and figures to watch."""
        decoded = in_bfloat16(self.model.decoder, tokens, None)
        pixels, mse = pixel_loss(decoded, images, indices)
        half = self.batch // 2
        with torch.autocast("cpu", torch.bfloat16):
            features, named = perceptual_loss(
                self.perceptual, decoded[:half], images[:half], indices[:half]
            )
        sharpen = min(1.0, progress / 0.15)  # pixels first, then what they form
        loss = pixels + sharpen * (0.25 * features + named_weight * named)
        return loss, {"psnr": -10 * math.log10(mse), "named": named.item()}

    def _tokens(self, images: Tensor, progress: float) -> tuple[Tensor, Tensor, Tensor]:
        """Quantized tokens (b, n, d) with straight-through gradients, and two scalar losses:
        commitment, and the squared mean of each position (which keeps positions from splitting
        the codebook among them)."""
        raw = in_bfloat16(self.model.encoder, images, self.model.latent_tokens)
        features = self.whiten(raw.transpose(1, 2)).transpose(1, 2)
        unit = functional.normalize(features, dim=-1)
        spread = unit.mean(0).square().sum(-1).mean()
        if progress < FREE_SHARE and not self.codebook.started:
            self.codebook.remember(unit.detach())
            return unit, unit.new_zeros(()), spread
        self.codebook.start(self.generator)
        quantized = self.model.quantize(features)
        tokens = functional.normalize(self.model.quantize.embedding.weight, dim=-1)
        commitment = (unit - tokens[quantized.codes].detach()).square().mean() * SPEC.token_size
        if progress < 0.9:
            self.codebook.update(unit.detach(), quantized.codes, self.generator)
        return quantized.tokens, commitment, spread


def in_bfloat16(module: nn.Module, *inputs: Tensor | None) -> Tensor:
    """Output (float32) of a module run in bfloat16; gradients reach its float32 weights.

    A third faster than autocast, which keeps the residual stream in float32.
    """
    weights = {name: weight.bfloat16() for name, weight in module.named_parameters()}
    inputs = tuple(None if x is None else x.bfloat16() for x in inputs)
    with plain_attention():
        return functional_call(module, weights, inputs).float()


def pixel_loss(decoded: Tensor, images: Tensor, indices: Tensor) -> tuple[Tensor, float]:
    """Squared and absolute error (scalar; dark scenes count double), and the MSE.

    Absolute error alone never draws the object: its median prediction is the background. The error
    of neighbouring pixels' differences sharpens outlines and closes the seams between patches.
    """
    light = list(ATTRIBUTES).index("light")
    weight = (1.0 + indices[:, light]).view(-1, 1, 1, 1)
    error = decoded.float() - images
    mse = error.detach().square().mean().item()
    across, down = error.diff(dim=3).square() * weight, error.diff(dim=2).square() * weight
    loss = ((0.3 * error.abs() + 8 * error.square()) * weight).mean()
    return loss + 4 * (across.mean() + down.mean()), mse


def perceptual_loss(
    network: FeatureNet, decoded: Tensor, images: Tensor, indices: Tensor
) -> tuple[Tensor, Tensor]:
    """Two scalars: the squared distance of channel-normalized features, averaged over the first
    three stages, and how well the network names the attributes of what was drawn.

    The second makes the decoder draw shape and focus that it knows of; the judge that measures the
    result is another network.
    """
    with torch.no_grad():
        wanted = network.features(images, stages=3)
    features = network.features(decoded)
    distances = [
        (unit_channels(a) - unit_channels(b)).square().sum(1).mean()
        for a, b in zip(features, wanted, strict=False)
    ]
    return torch.stack(distances).mean(), attribute_loss(network.named(features), indices)


def unit_channels(features: Tensor) -> Tensor:
    return functional.normalize(features.float(), dim=1, eps=1e-4)


@torch.no_grad()
def initialize(model: TiTok) -> None:
    """Initial values under which a small ViT leaves its plateau at once."""
    spec = model.spec
    for side, size in ((model.encoder, spec.encoder), (model.decoder, spec.decoder)):
        for name, parameter in side.transformer.named_parameters():
            if parameter.ndim == 2:
                std = parameter.shape[1] ** -0.5
                last = name.endswith(("out_proj.weight", "c_proj.weight"))
                parameter.normal_(std=std * ((2 * size.layers) ** -0.5 if last else 1))
        grid = round(math.sqrt(len(side.positional_embedding) - 1))
        side.positional_embedding[1:] = 0.6 * sine_cosine(grid, size.width)
        side.latent_token_positional_embedding.normal_(std=0.5)
    model.latent_tokens.normal_(std=0.5)
    patches = model.encoder.patch_embed
    patches.weight.normal_(std=3 * patches.weight[0].numel() ** -0.5)
    patches.bias.copy_(-0.5 * patches.weight.sum(dim=(1, 2, 3)))
    model.encoder.conv_out.weight.normal_(std=spec.encoder.width**-0.5)
    model.decoder.decoder_embed.weight.normal_(std=1.0)
    if spec.legacy:
        for layer in (model.decoder.ffn[0], model.decoder.ffn[2]):
            layer.weight.normal_(std=layer.weight.shape[1] ** -0.5)
    else:
        model.decoder.conv_out.weight.zero_()
        model.decoder.conv_out.weight[range(3), range(3), 1, 1] = 1
        model.decoder.ffn[0].bias.fill_(0.5)


def sine_cosine(grid: int, width: int) -> Tensor:
    """2D sine-cosine positions (grid * grid, width) with values in -1..1."""
    frequency = 2 * math.pi / grid * 1.6 ** -torch.arange(-2, width // 4 - 2).float().div(4)
    angle = torch.arange(grid).float().view(-1, 1) * frequency
    axis = torch.cat([angle.sin(), angle.cos()], dim=1)  # (grid, width / 2)
    rows = axis.repeat_interleave(grid, 0)
    return torch.cat([rows, axis.repeat(grid, 1)], dim=1)


@torch.no_grad()
def export(average: WeightAverage) -> TiTok:
    """The averaged model with the whitening folded into the encoder's last layer."""
    model, whiten = average.module
    scale = (whiten.running_var + whiten.eps).rsqrt()
    out = model.encoder.conv_out
    out.bias.copy_((out.bias - whiten.running_mean) * scale)
    out.weight.mul_(scale.view(-1, 1, 1, 1))
    return model


@torch.no_grad()
def start_from(task: TokenizerTask, shipped: TiTok) -> None:
    """Continues from shipped weights, whose whitening is folded in and whose codebook is used."""
    for model in (task.model, task.average.module[0]):
        model.load_state_dict(shipped.state_dict())
    codes = functional.normalize(shipped.quantize.embedding.weight.float(), dim=1)
    task.codebook.total.copy_(codes)
    task.codebook.started.fill_(True)
