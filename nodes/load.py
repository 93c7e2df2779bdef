"""Load TiTok and Load CLIP Guide."""

from __future__ import annotations

import itertools
import logging
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ..tokenopt_core.guides import KNOWN_GUIDES, load_guide
from ..tokenopt_core.tokenizers.registry import known_tokenizers
from . import folders
from .compat import CATEGORY, ModelPatcher, ProgressBar, io, model_management
from .types import GuideSocket, LoadedGuide, LoadedModel, LoadedTokenizer, TokenizerSocket

log = logging.getLogger(__name__)

# Equal models are shared between nodes for as long as ComfyUI holds one of them.
_loaded: weakref.WeakValueDictionary[tuple, LoadedModel] = weakref.WeakValueDictionary()


class LoadTokenizer(io.ComfyNode):
    """A TiTok, TA-TiTok or MaskGIT-VQGAN image tokenizer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_LoadTokenizer",
            display_name="Load TiTok",
            category=CATEGORY,
            description="Loads an image tokenizer: a model that turns an image into a few tokens "
            "and tokens into an image.",
            inputs=[
                io.Combo.Input(
                    "tokenizer",
                    options=_choices(known_tokenizers(), folders.TOKENIZERS),
                    default="demo",
                    tooltip="Which tokenizer. 'demo' ships with this pack (64x64 scenes of simple "
                    "shapes). A released model (256x256 photographs, 0.2-2.6 GB) is downloaded "
                    "into models/titok the first time it runs. Your own weights in models/titok, a "
                    ".safetensors file or a folder with config.json, are listed too. "
                    "Fewer tokens (32): stronger edits, less detail; more tokens: the reverse.",
                )
            ],
            outputs=[
                TokenizerSocket.Output(display_name="tokenizer", tooltip="For all TiTok nodes.")
            ],
        )

    @classmethod
    def execute(cls, tokenizer: str) -> io.NodeOutput:
        source = _source(tokenizer, "tokenizer", known_tokenizers(), folders.TOKENIZERS)
        models_dir = folders.download_folder(folders.TOKENIZERS, tokenizer)
        bar = _DownloadBar()

        def load() -> torch.nn.Module:
            from ..tokenopt_core.tokenizers import load_tokenizer  # reads files: only when run

            return load_tokenizer(source, models_dir=models_dir, progress=bar)

        return io.NodeOutput(_share(LoadedTokenizer, tokenizer, source, load))


class LoadGuide(io.ComfyNode):
    """A CLIP or SigLIP model that tells how well images match a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_LoadGuide",
            display_name="Load CLIP Guide",
            category=CATEGORY,
            description="Loads the model that compares images with text and so guides the edit.",
            inputs=[
                io.Combo.Input(
                    "model",
                    options=_choices(KNOWN_GUIDES, folders.GUIDES),
                    default="demo",
                    tooltip="Which model. 'demo' ships with this pack and knows only the demo "
                    "scenes. A released model (0.4-2.6 GB) is downloaded into models/titok_guides "
                    "the first time it runs; ViT-B-32 is the paper's choice. Larger ones are "
                    "slower and see finer detail. Folders in open_clip layout in "
                    "models/titok_guides are listed too.",
                )
            ],
            outputs=[GuideSocket.Output(display_name="guide", tooltip="For the CLIP Loss node.")],
        )

    @classmethod
    def execute(cls, model: str) -> io.NodeOutput:
        source = _source(model, "model", KNOWN_GUIDES, folders.GUIDES)
        models_dir = folders.download_folder(folders.GUIDES)

        def load() -> torch.nn.Module:
            return load_guide(source, models_dir=models_dir)

        return io.NodeOutput(_share(LoadedGuide, model, source, load))


class _DownloadBar:
    """Shows bytes done on the node, once there are any."""

    def __init__(self) -> None:
        self._bar = None

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        self._bar = self._bar or ProgressBar(total)
        self._bar.update_absolute(done, total)


def _choices(known: Sequence[str], kind: str) -> list[str]:
    return list(dict.fromkeys(["demo", *known, *folders.local_models(kind)]))


def _source(name: str, input_name: str, known: Sequence[str], kind: str) -> str | Path:
    """What the library loads: a known name itself, or the path of a model found on disk."""
    if name in known:
        return name
    local = folders.local_models(kind)
    if name not in local:
        raise ValueError(
            f"{input_name} is {name!r}, which is neither a known model nor found in models/{kind}; "
            f"choose one of: {', '.join(_choices(known, kind))}."
        )
    return local[name]


def _share(
    kind: type[LoadedModel], name: str, source: str | Path, load: Callable[[], torch.nn.Module]
) -> LoadedModel:
    """The model, loaded at most once for all nodes; it moves to the GPU when it is first used."""
    files = [source, *source.glob("*")] if isinstance(source, Path) else []
    key = (kind, str(source), *(file.stat().st_mtime_ns for file in files))
    model = _loaded.get(key)
    if model is None:
        with torch.inference_mode(False):
            module = load()
            patcher = ModelPatcher(
                module, model_management.get_torch_device(), model_management.unet_offload_device()
            )
        tensors = itertools.chain(
            module.named_parameters(remove_duplicate=False),
            module.named_buffers(remove_duplicate=False),
        )
        model = kind(name, patcher, {key: tensor.dtype for key, tensor in tensors})
        _loaded[key] = model
        log.info("TokenOpt: loaded %s", name)
    return model
