"""The caption encoder: CLIP's text tower alone, whose words' features TA-TiTok decodes with.

arXiv 2501.07730, section 3.1; the tower is that of arXiv 2103.00020, section 2.4, and the released
models read ViT-L-14-336's. Parameter names are those of open_clip's checkpoints.

Axes: b texts, t positions, w width, e embedding size.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..checks import check_tensor, needs_packages, shown, writable
from ..files.weights import fill, read_weights
from ..hub import Progress
from .files import CAPTION_ENCODER, GuideFiles, find_guide, no_traces
from .prompt_tokenizer import PromptTokenizer, read_tokenizer

log = logging.getLogger(__name__)

ELSEWHERE = ("visual.", "logit_scale", "logit_bias")  # of a checkpoint: not of its text tower
WORDING = ("hf_tokenizer_name", "tokenizer_kwargs", "tokenizer_mode")  # settings of its tokenizer


class TextFeatures(NamedTuple):
    """What a text tower makes of texts.

    Args:
        sequence: (b, t, w) before the last block and the last normalization; MaskGen's condition.
        pooled: (b, e), the embedding of the whole texts, not normalized.
        guidance: (b, t, w) after both, of the words one by one; TA-TiTok's `text`.
    """

    sequence: Tensor
    pooled: Tensor
    guidance: Tensor


@dataclass(frozen=True, kw_only=True)
class TextSize:
    """The size of a text tower; the defaults are open_clip's."""

    embed_dim: int
    context_length: int = 77
    vocab_size: int = 49408
    width: int = 512
    heads: int = 8
    layers: int = 12

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {shown(value)}, expected a whole number above 0.")
        if self.width % self.heads:
            raise ValueError(f"width is {self.width}, expected a multiple of heads {self.heads}.")


class TextEncoder(nn.Module):
    """A frozen text tower of CLIP; calling it on ids (b, t) int64 gives `TextFeatures`.

    All positions are read, those behind the text too: they must have id 0, as `ids` gives them.
    A new one has random weights.

    Args:
        tokenizer: for texts; None can read ids only.
        quick_gelu: x * sigmoid(1.702 x) in place of the exact GELU.
    """

    def __init__(
        self,
        name: str,
        size: TextSize,
        tokenizer: PromptTokenizer | None = None,
        *,
        quick_gelu: bool = False,
    ) -> None:
        super().__init__()
        self.name, self.size, self.tokenizer = name, size, tokenizer
        self.quick_gelu = quick_gelu
        self.token_embedding = nn.Embedding(size.vocab_size, size.width)
        self.positional_embedding = nn.Parameter(torch.zeros(size.context_length, size.width))
        blocks = (_Block(size.width, size.heads) for _ in range(size.layers))
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(blocks)})
        self.ln_final = nn.LayerNorm(size.width)
        self.text_projection = nn.Parameter(torch.zeros(size.width, size.embed_dim))

    def forward(self, ids: Tensor) -> TextFeatures:
        """The features of ids (b, t), where the encoder is.

        Raises:
            ValueError: they are no integers of its vocabulary, or too many.
        """
        self._check_ids(ids)
        activation = _quick_gelu if self.quick_gelu else F.gelu
        x = self.token_embedding(ids) + self.positional_embedding[: ids.shape[1]]  # (b, t, w)
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        *first, last = self.transformer["resblocks"]
        for block in first:
            x = block(x, later, activation)
        guidance = self.ln_final(last(x, later, activation))
        ends = guidance[torch.arange(len(ids), device=ids.device), ids.argmax(1)]
        return TextFeatures(x, ends @ self.text_projection, guidance)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> TextFeatures:
        """The features of texts, on the encoder's device; logs what is not read of them."""
        for remark in self.remarks(texts):
            log.warning("%s", writable(remark))
        return self(self.ids(texts).to(self.positional_embedding.device))

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Ids (b, t) int64 of texts on the CPU: the end of a text has the largest one, then come
        zeros, whatever the tokenizer fills up with."""
        self.tokenizer.check_vocabulary(self.size.vocab_size, f"caption encoder {self.name}")
        ids = self.tokenizer(texts)
        behind = torch.arange(ids.shape[1]) > ids.argmax(1, keepdim=True)
        return ids.masked_fill(behind, 0)

    def remarks(self, texts: Sequence[str]) -> list[str]:
        """Sentences for the user about cut texts and unknown words, empty if there are none."""
        return self.tokenizer.remarks(texts, f"caption encoder {self.name}", "caption")

    def _check_ids(self, ids: Tensor) -> None:
        most, words = self.size.context_length, self.size.vocab_size
        check_tensor(ids, "ids", f"(b, t) with t up to {most}")
        whole = ids.dtype in (torch.int64, torch.int32)
        if ids.ndim != 2 or not 0 < ids.shape[1] <= most or not whole:
            raise ValueError(
                f"ids have shape {tuple(ids.shape)} and type {ids.dtype}, expected integers (b, t) "
                f"with t up to {most}."
            )
        if len(ids) and not 0 <= ids.min() <= ids.max() < words:
            raise ValueError(
                f"ids lie between {int(ids.min())} and {int(ids.max())}, expected 0 to {words - 1}."
            )


class _Block(nn.Module):
    """Pre-norm residual block, which sees no later position."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)}
        )

    def forward(self, x: Tensor, later: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=later)[0]
        return x + self.mlp["c_proj"](activation(self.mlp["c_fc"](self.ln_2(x))))


def load_text_encoder(
    source: str | Path = CAPTION_ENCODER,
    quick_gelu: bool | None = None,
    *,
    device: str | torch.device = "cpu",
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
) -> TextEncoder:
    """The frozen text tower of a CLIP model on `device`, float32; of the vision tower nothing.

    Args:
        source: a folder with open_clip_config.json and weights, "Model/tag" of a released model, or
            "hf-hub:owner/name", as for `load_guide`.
        quick_gelu: its activation, see `TextEncoder`; None is what the model was trained with, as
            its configuration says. With which of both the released TA-TiTok were trained is not
            published, and open_clip itself has changed from one to the other.
        models_dir, progress, download: as for `load_guide`.

    Raises:
        ValueError: the source is not known, is no CLIP model with a text tower of the plain kind,
            or its files are damaged or do not fit each other.
        FileNotFoundError: a folder lacks a file.
        DownloadError: files are missing and could not be downloaded.
        ImportError: open_clip, or what it needs, is not installed.
    """
    # Inference weights could never take part in a gradient.
    with torch.inference_mode(False), torch.no_grad(), no_traces(), needs_packages():
        files = find_guide(source, models_dir, progress, download, towers=("text_cfg",))
        size = size_of(files)
        tokenizer = read_tokenizer(files, size.vocab_size)
        if quick_gelu is None:
            own = files.settings.get("quick_gelu", False)
            quick_gelu = bool(files.options.get("force_quick_gelu", own))
        with torch.device("meta"):
            encoder = TextEncoder(str(source), size, tokenizer, quick_gelu=quick_gelu)
        weights = {
            key: tensor
            for key, tensor in read_weights(files.weights).items()
            if not key.startswith(ELSEWHERE)
        }
        fill(encoder, files.weights, weights, "caption encoder", device, lambda key: torch.float32)
        return encoder


def size_of(files: GuideFiles) -> TextSize:
    """The tower's size, if it is of the plain kind: no other settings than those of sizes."""
    settings = {key: value for key, value in files.text.items() if value is not None}
    known: Mapping[str, Any] = TextSize.__dataclass_fields__
    others = [key for key in settings if key not in (*known, *WORDING)]
    try:
        if others:
            raise ValueError(f"{others[0]} is {shown(settings[others[0]])}, expected none")
        sizes = {key: settings[key] for key in known if key in settings}
        return TextSize(embed_dim=files.settings.get("embed_dim"), **sizes)
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{files.weights} has a configuration with a text tower of another kind ({reason}): "
            f"take a CLIP model like {CAPTION_ENCODER}."
        ) from error


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)
