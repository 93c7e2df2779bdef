"""Guides: CLIP and SigLIP models with a common embedding of images and texts, by open_clip.

Size, mean and std come from the model's own configuration, and so does its text tokenizer.

Axes: b images or texts, e embedding size, s = `Guide.image_size`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checks import check_dtype, check_tensor, needs_packages, writable
from ..compute.half_precision import autocast, half_copy, shallow_copy
from ..compute.memory import is_out_of_memory
from ..hub import Progress
from .file_checks import check_model, check_statistics, no_model
from .files import DEMO_GUIDE, KNOWN_GUIDES, GuideFiles, find_guide, no_traces
from .prompt_tokenizer import PromptTokenizer, read_tokenizer

if TYPE_CHECKING:
    from open_clip import CLIP, CustomTextCLIP

__all__ = ["DEMO_GUIDE", "KNOWN_GUIDES", "Guide", "load_guide"]

log = logging.getLogger(__name__)


class Guide(nn.Module):
    """A frozen pair of an image tower and a text tower with a common embedding.

    Only the image tower is part of the module: it is what moves to a device and takes memory there.
    A prompt is encoded once, by the text tower, on the CPU in float32, so that it means the same
    everywhere.
    """

    def __init__(self, name: str, model: CLIP | CustomTextCLIP, tokenizer: PromptTokenizer):
        super().__init__()
        config = model.visual.preprocess_cfg
        self.name = name
        self.kind = "clip" if model.logit_bias is None else "siglip"
        self.image_size = _square(config["size"], name)
        check_statistics(name, config["mean"], config["std"])
        self.mean = tuple(config["mean"])
        self.std = tuple(config["std"])
        self.context_length = tokenizer.context_length
        self.tokenizer = tokenizer
        self.visual = model.visual
        del model.visual
        self._casts: WeakValueDictionary[tuple, Guide] = WeakValueDictionary()
        self._texts = (model,)  # in a tuple, so that it is not a submodule
        self.register_buffer("_mean", torch.tensor(self.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)
        model.eval().requires_grad_(False)

    @property
    def weights_device(self) -> torch.device:
        """Where its image tower is. Not `device`: ComfyUI keeps its own notes under that name."""
        return next(self.parameters()).device

    def encode_image(self, images: Tensor) -> Tensor:
        """Unit-length features (b, e) of images (b, 3, s, s) in [0, 1], float32, differentiable.

        Raises:
            ValueError: images of another size than `image_size`.
        """
        check_tensor(images, "images", f"(b, 3, {self.image_size}, {self.image_size})")
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"guide {self.name} got images {tuple(images.shape)}: expected "
                f"(b, 3, {self.image_size}, {self.image_size})."
            )
        normalized = (images.float() - self._mean) / self._std
        dtype = next(self.visual.parameters()).dtype
        if dtype == torch.float32:
            return F.normalize(self.visual(normalized).float(), dim=-1)
        with autocast(torch.float32, images.device):  # off: the tower knows its type
            return F.normalize(self.visual(normalized.to(dtype)).float(), dim=-1)

    def cast(self, dtype: torch.dtype, device: torch.device | None = None) -> Guide:
        """This guide with an image tower that computes in `dtype`, its weights rounded once.

        The same one for as long as somebody holds it: the terms of a loss share it.

        Args:
            device: where to embed images; None is where this guide is.
        """
        guide = self._casts.get((dtype, device))
        if guide is None:
            guide = shallow_copy(self)
            guide._modules = {"visual": half_copy(self.visual, dtype, device)}
            if device is not None:
                guide._buffers = {name: value.to(device) for name, value in self._buffers.items()}
            self._casts[dtype, device] = guide
        return guide

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit-length features (b, e) of texts, float32 on the CPU; logs what is not read."""
        for remark in self.remarks(texts):
            log.warning("%s", writable(remark))
        features = self._texts[0].encode_text(self.tokenizer(texts))
        return F.normalize(features.float(), dim=-1)

    @torch.no_grad()
    def probability(self, similarity: Tensor) -> Tensor | None:
        """That image and text belong together, by SigLIP's own scale; None for CLIP, which has
        none: its similarities (any shape, here and in the result) only rank."""
        model = self._texts[0]
        if self.kind != "siglip":
            return None
        scale, bias = model.logit_scale.exp().cpu(), model.logit_bias.cpu()
        return (similarity.cpu() * scale + bias).sigmoid()

    def remarks(self, texts: Sequence[str]) -> list[str]:
        """Sentences for the user about cut texts and unknown words, empty if there are none."""
        return self.tokenizer.remarks(texts, f"guide {self.name}")

    def knows_nothing_of(self, text: str) -> bool:
        """Whether the guide can read no word of the text at all."""
        return self.tokenizer.knows_nothing_of(text)


def load_guide(
    source: str | Path = "ViT-B-32/laion2b_s34b_b79k",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
) -> Guide:
    """A frozen guide on `device`.

    Args:
        source: "demo"; a folder with open_clip_config.json, weights and the tokenizer's files, or a
            file in it; "Model/tag" of a released model (open_clip.list_pretrained());
            "hf-hub:owner/name". Only the last two use the network, and only for files that are not
            there yet. No code that comes with a model is ever run.
        dtype: of the image tower.
        models_dir: where released models are looked for, and downloaded to if they are missing, in
            a folder of their name (models_dir/Model/tag, models_dir/owner/name); None is the hub's
            own cache.
        progress: called with the bytes done and in all during a download; what it raises cancels.
        download: False raises DownloadError in place of a download.

    Raises:
        ValueError: the source is not known, or its files are damaged or do not fit each other.
        FileNotFoundError: a folder lacks a file.
        DownloadError: files are missing and could not be downloaded.
        ImportError: open_clip, or what it needs, is not installed.
    """
    check_dtype(dtype)
    # Inference weights could never take part in a gradient.
    with torch.inference_mode(False), no_traces(), needs_packages():
        files = find_guide(source, models_dir, progress, download)
        model = _build(files)
        if not hasattr(model, "visual") or hasattr(model, "text_decoder"):
            raise ValueError(f"guide {source} is a CoCa model: choose a CLIP or SigLIP model.")
        tokenizer = read_tokenizer(files, model.vocab_size)
        tokenizer.check_vocabulary(model.vocab_size, f"guide {source}")
        guide = Guide(str(source), model, tokenizer).to(device)
        guide.visual.to(dtype)
        return guide


def _build(files: GuideFiles) -> CLIP | CustomTextCLIP:
    """The model with its weights, in memory of its own."""
    import open_clip  # here, because it takes seconds

    try:
        model = open_clip.create_model(files.model, **files.options, require_pretrained=True)
    except Exception as error:  # a wrong configuration stops open_clip in many ways
        if is_out_of_memory(error):
            raise
        raise no_model(files.weights, error) from error
    check_model(files.weights, model)
    return model


def _square(size: int | Sequence[int], name: str) -> int:
    """The side of the model's images in pixels."""
    sides = [size] if isinstance(size, int) else list(size)
    if len(set(sides)) != 1:
        raise ValueError(f"guide {name} looks at images of {sides}: expected a square.")
    return sides[0]
