"""Load TiTok and Load CLIP Guide."""

from __future__ import annotations

import contextlib
import itertools
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ...tokenopt_core.checks import nearest, writable
from ...tokenopt_core.files.weights import SUFFIXES
from ...tokenopt_core.guides.guide import DEMO_GUIDE, KNOWN_GUIDES, load_guide
from ...tokenopt_core.tokenizers.registry import DEMO_TOKENIZER, known_tokenizers
from ..host import folders
from ..host.compat import (
    CATEGORY,
    ModelPatcher,
    ProgressBar,
    executing,
    io,
    model_management,
    schema,
)
from ..host.sockets import GuideSocket, LoadedGuide, LoadedModel, LoadedTokenizer, TokenizerSocket

log = logging.getLogger(__name__)

# What the files of a model were when this process had downloaded them, by their folder.
_downloaded: dict[Path | None, tuple] = {}
# Equal models are shared between nodes for as long as ComfyUI holds one of them.
_loaded: weakref.WeakValueDictionary[tuple, LoadedModel] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class _Menu:
    """The models that a node offers: known names, and what lies in models/KIND."""

    input_name: str
    known: tuple[str, ...]
    kind: str
    demo: Path

    def choices(self) -> list[str]:
        return list(dict.fromkeys([*self.known, *folders.local_models(self.kind)]))

    def source(self, name: str) -> str | Path:
        """What the library loads: a known name itself, or the path of a model found on disk."""
        local = folders.local_models(self.kind)
        if name not in self.known and name not in local:
            raise ValueError(
                f"{self.input_name} is {name!r}, which is neither a known model nor found in "
                f"models/{self.kind}: did you mean one of {nearest(str(name), self.choices())}?"
            )
        return name if name in self.known else local[name]

    def place(self, name: str) -> Path | None:
        """Where the files of a model are, or will be; None for an unknown one."""
        if name == "demo":
            return self.demo
        if name in self.known:
            return folders.download_folder(self.kind, name) / name
        return folders.local_models(self.kind).get(name)


_TOKENIZERS = _Menu("tokenizer", known_tokenizers(), folders.TOKENIZERS, DEMO_TOKENIZER)
_GUIDES = _Menu("model", KNOWN_GUIDES, folders.GUIDES, DEMO_GUIDE)


class LoadTokenizer(io.ComfyNode):
    """A TiTok, TA-TiTok or MaskGIT-VQGAN image tokenizer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadTokenizer",
            display_name="Load TiTok",
            category=f"{CATEGORY}/loaders",
            description="Loads an image tokenizer: a model that turns an image into a few tokens "
            "and tokens into an image.",
            search_aliases=["load model", "checkpoint", "image tokenizer", "maskgit", "vae"],
            inputs=[
                io.Combo.Input(
                    "tokenizer",
                    options=_TOKENIZERS.choices(),
                    default="demo",
                    tooltip="Which tokenizer. 'demo' ships with this pack (64x64 scenes of simple "
                    "shapes). A released model (256x256 photographs, 0.2-2.6 GB) is downloaded "
                    "into models/titok the first time it runs. Your own weights in models/titok, a "
                    ".safetensors file or a folder with config.json, are listed too. "
                    "Fewer tokens (32): stronger edits, less detail; more tokens: the reverse.",
                ),
                download_input(),
            ],
            outputs=[
                TokenizerSocket.Output(
                    display_name="tokenizer",
                    tooltip="The loaded tokenizer, for all nodes that encode, decode or "
                    "change tokens.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, tokenizer: str, download: bool = True) -> str:
        return _fingerprint(_TOKENIZERS.place(tokenizer))

    @classmethod
    def execute(cls, tokenizer: str, download: bool = True) -> io.NodeOutput:
        return io.NodeOutput(tokenizer_named(tokenizer, download))


class LoadGuide(io.ComfyNode):
    """A CLIP or SigLIP model that tells how well images match a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadGuide",
            display_name="Load CLIP Guide",
            category=f"{CATEGORY}/loaders",
            description="Loads the model that compares images with text and so guides the edit.",
            search_aliases=["siglip", "open_clip", "load model", "text encoder"],
            inputs=[
                io.Combo.Input(
                    "model",
                    options=_GUIDES.choices(),
                    default="demo",
                    tooltip="Which model. 'demo' ships with this pack and knows only the demo "
                    "scenes. A released model (0.6-1.7 GB) is downloaded into models/titok_guides "
                    "the first time it runs; ViT-B-32 is the paper's choice. Larger ones are "
                    "slower and see finer detail. Folders in open_clip layout in "
                    "models/titok_guides are listed too.",
                ),
                download_input(),
            ],
            outputs=[
                GuideSocket.Output(
                    display_name="guide",
                    tooltip="The loaded model, for CLIP Loss, Judge and all other nodes that "
                    "compare.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str, download: bool = True) -> str:
        return _fingerprint(_GUIDES.place(model))

    @classmethod
    def execute(cls, model: str, download: bool = True) -> io.NodeOutput:
        return io.NodeOutput(guide_named(model, download))


def tokenizer_named(name: str, download: bool = True) -> LoadedTokenizer:
    """A tokenizer of Load TiTok's menu; downloaded first, if allowed, where files are missing."""
    source = _TOKENIZERS.source(name)
    models_dir = folders.download_folder(folders.TOKENIZERS, name)

    def load() -> torch.nn.Module:
        from ...tokenopt_core.tokenizers import load_tokenizer  # reads files: only when run

        return load_tokenizer(
            source, models_dir=models_dir, progress=_DownloadBar(), download=download
        )

    return _share(LoadedTokenizer, name, _TOKENIZERS.place(name), load)


def guide_named(name: str, download: bool = True) -> LoadedGuide:
    """A guide of Load CLIP Guide's menu; downloaded first, if allowed, where files are missing."""
    source = _GUIDES.source(name)
    models_dir = folders.download_folder(folders.GUIDES, name)

    def load() -> torch.nn.Module:
        return load_guide(source, models_dir=models_dir, progress=_DownloadBar(), download=download)

    return _share(LoadedGuide, name, _GUIDES.place(name), load)


def fingerprint_of(tokenizer: str, guide: str) -> str:
    """Another text after a file of either model was replaced."""
    places = _TOKENIZERS.place(tokenizer), _GUIDES.place(guide)
    return " ".join(map(_fingerprint, places))


def download_input() -> io.Input:
    """The last input of a node that loads; optional, because earlier workflows lack it."""
    return io.Boolean.Input(
        "download",
        default=True,
        optional=True,
        tooltip="What happens when a released model is not there. On: this run downloads it, with "
        "progress in the node; after a cancel the next run goes on from there. Off: the run stops "
        "and says which file is missing, where it is published and into which folder it belongs.",
    )


class _DownloadBar:
    """Shows the bytes of all files on the node that loads, and ends the download on a cancel."""

    def __init__(self) -> None:
        self._bar = None
        self._node = executing()[1]

    def __call__(self, done: int, total: int) -> None:
        model_management.throw_exception_if_processing_interrupted()
        if total:  # known once the hub has answered
            self._bar = self._bar or ProgressBar(total, node_id=self._node)
            self._bar.update_absolute(done, total)


def _fingerprint(place: Path | None) -> str:
    """Name, size and time of a model's files: another text after any of them was replaced."""
    facts = _facts(place)
    # Files that this process downloaded are those it loaded: nothing was replaced.
    return str(() if facts == _downloaded.get(place) else facts)


def _facts(place: Path | None) -> tuple[tuple[str, int, int], ...]:
    files = () if place is None else sorted(place.iterdir()) if place.is_dir() else (place,)
    facts = []
    for file in files:
        if file.suffix in (".json", *SUFFIXES):
            with contextlib.suppress(OSError):  # a link that leads nowhere, or deleted just now
                facts.append((file.name, file.stat().st_size, file.stat().st_mtime_ns))
    return tuple(facts)


def _share(
    kind: type[LoadedModel], name: str, place: Path | None, load: Callable[[], torch.nn.Module]
) -> LoadedModel:
    """The model, loaded at most once for all nodes; it moves to the GPU when it is first used."""
    missing = not _facts(place)
    key = (kind, str(place), _fingerprint(place))
    model = _loaded.get(key)
    if model is None:
        with torch.inference_mode(False):
            module = load()
            if missing:
                _downloaded[place] = _facts(place)
            patcher = ModelPatcher(
                module, model_management.get_torch_device(), model_management.unet_offload_device()
            )
        tensors = itertools.chain(
            module.named_parameters(remove_duplicate=False),
            module.named_buffers(remove_duplicate=False),
        )
        model = kind(name, patcher, {key: tensor.dtype for key, tensor in tensors})
        _loaded[key] = model
        log.info("TokenOpt: loaded %s", writable(name))
    return model
