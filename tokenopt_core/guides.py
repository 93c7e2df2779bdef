"""CLIP and SigLIP models that say how well an image fits a text, loaded through open_clip.

Size, mean and std come from the model's own configuration, and so does its text tokenizer.

Axes: b images or texts, e embedding size, s = `Guide.image_size`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .prompt_tokenizer import PromptTokenizer

if TYPE_CHECKING:
    from open_clip import CLIP, CustomTextCLIP

DEMO_FOLDER = Path(__file__).parent / "demo" / "clip"
KNOWN_GUIDES = (
    "demo",
    "ViT-B-32/laion2b_s34b_b79k",
    "ViT-B-16/datacomp_xl_s13b_b90k",
    "ViT-L-14/datacomp_xl_s13b_b90k",
    "ViT-B-16-SigLIP/webli",
    "ViT-B-16-SigLIP2/webli",
)

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
        self.mean = tuple(config["mean"])
        self.std = tuple(config["std"])
        self.context_length = tokenizer.context_length
        self.tokenizer = tokenizer
        self.visual = model.visual
        del model.visual
        self._texts = (model,)  # in a tuple, so that it is not a submodule
        self.register_buffer("_mean", torch.tensor(self.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(self.std).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)
        model.eval().requires_grad_(False)

    def encode_image(self, images: Tensor) -> Tensor:
        """Unit-length features (b, e) of images (b, 3, s, s) in [0, 1], float32, differentiable."""
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"guide {self.name} got images {tuple(images.shape)}: expected "
                f"(b, 3, {self.image_size}, {self.image_size})."
            )
        normalized = (images.float() - self._mean) / self._std
        dtype = next(self.visual.parameters()).dtype
        return F.normalize(self.visual(normalized.to(dtype)).float(), dim=-1)

    @torch.no_grad()
    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Unit-length features (b, e) of texts, float32 on the CPU; logs what is not read."""
        for remark in self.remarks(texts):
            log.warning("%s", remark)
        features = self._texts[0].encode_text(self.tokenizer(texts))
        return F.normalize(features.float(), dim=-1)

    @torch.no_grad()
    def probability(self, similarity: Tensor) -> Tensor | None:
        """That image and text belong together, by SigLIP's own scale; None for CLIP, which has
        none: its similarities only rank."""
        model = self._texts[0]
        if self.kind != "siglip":
            return None
        scale, bias = model.logit_scale.exp().cpu(), model.logit_bias.cpu()
        return (similarity.cpu() * scale + bias).sigmoid()

    def remarks(self, texts: Sequence[str]) -> list[str]:
        """Sentences for the user about cut texts and unknown words, empty if there are none."""
        return self.tokenizer.remarks(texts, self.name)

    def knows_nothing_of(self, text: str) -> bool:
        """Whether the guide can read no word of the text at all."""
        return self.tokenizer.knows_nothing_of(text)


def load_guide(
    source: str | Path = "ViT-B-32/laion2b_s34b_b79k",
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    models_dir: str | Path | None = None,
) -> Guide:
    """A frozen guide on `device`.

    Args:
        source: "demo"; a folder with open_clip_config.json, weights and the tokenizer's files, or a
            file in it; "Model/tag" of a released model (open_clip.list_pretrained());
            "hf-hub:owner/name". Only the last two use the network, and only for files that are not
            there yet.
        dtype: of the image tower.
        models_dir: where released models are kept; None is the hub's own cache.

    Raises:
        ValueError: the source is not known; the message lists what is.
        FileNotFoundError: a folder lacks a file.
    """
    import open_clip  # here, because it takes seconds

    with torch.inference_mode(False):  # inference weights could never take part in a gradient
        name, options = _resolve(str(source))
        cache = {"cache_dir": str(models_dir) if models_dir else None}
        model = open_clip.create_model(name, **options, **cache, require_pretrained=True)
        if not hasattr(model, "visual") or hasattr(model, "text_decoder"):
            raise ValueError(f"guide {source} is a CoCa model: choose a CLIP or SigLIP model.")
        tokenizer = PromptTokenizer(open_clip.get_tokenizer(name, **cache))
        if tokenizer.vocabulary_size > model.vocab_size:
            raise ValueError(
                f"guide {source} has {model.vocab_size} words, its tokenizer "
                f"{tokenizer.vocabulary_size}: "
                'put tokenizer.json beside the weights and "hf_tokenizer_name" into text_cfg.'
            )
        guide = Guide(str(source), model, tokenizer).to(device)
        guide.visual.to(dtype)
        return guide


def _resolve(source: str) -> tuple[str, dict[str, Any]]:
    """open_clip's name for `source`, and the options of `create_model` that it needs."""
    import open_clip

    folder = DEMO_FOLDER if source == "demo" else Path(source)
    if source == "demo" or (source and folder.exists()):
        return f"local-dir:{_checked_folder(folder)}", {}
    if source.startswith("hf-hub:"):
        return source, {}
    model, _, tag = source.rpartition("/")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        known = f"{model} has the tags {', '.join(tags)}" if tags else ", ".join(KNOWN_GUIDES)
        raise ValueError(
            f"guide {source!r} is neither a folder nor a released model: expected 'demo', a "
            f"folder, 'hf-hub:owner/name' or 'Model/tag' ({known})."
        )
    quick = open_clip.get_pretrained_cfg(model, tag).get("quick_gelu", False)
    return model, {"pretrained": tag, "force_quick_gelu": quick}


def _checked_folder(path: Path) -> Path:
    """The folder of a local model, after a look at its files."""
    folder = path.parent if path.is_file() else path
    config = folder / "open_clip_config.json"
    if not config.is_file():
        raise FileNotFoundError(
            f"guide folder {folder} has no open_clip_config.json, which describes its weights."
        )
    if not any(entry.suffix in (".safetensors", ".bin", ".pth") for entry in folder.iterdir()):
        raise FileNotFoundError(
            f"guide folder {folder} has no weights: put open_clip_model.safetensors there."
        )
    text = json.loads(config.read_text(encoding="utf-8")).get("model_cfg", {}).get("text_cfg", {})
    if text.get("hf_tokenizer_name") and not (folder / "tokenizer_config.json").is_file():
        raise FileNotFoundError(
            f"guide folder {folder} has no tokenizer_config.json, which its configuration asks for."
        )
    return Path(os.path.abspath(folder))


def _square(size: int | Sequence[int], name: str) -> int:
    """The side of the model's images in pixels."""
    sides = [size] if isinstance(size, int) else list(size)
    if len(set(sides)) != 1:
        raise ValueError(f"guide {name} looks at images of {sides}: expected a square.")
    return sides[0]
