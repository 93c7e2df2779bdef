"""The models of all menus: which there are, where their files lie, and the loaded ones, shared."""

from __future__ import annotations

import contextlib
import itertools
import logging
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ...tokenopt_core.checks import nearest, shown, writable
from ...tokenopt_core.files.weights import SUFFIXES
from ...tokenopt_core.guides.files import CAPTION_ENCODER
from ...tokenopt_core.guides.guide import DEMO_GUIDE, KNOWN_GUIDES, load_guide
from ...tokenopt_core.guides.text_encoder import load_text_encoder
from ...tokenopt_core.tokenizers.registry import DEMO_TOKENIZER, known_tokenizers
from ..host import folders
from ..host.compat import ModelPatcher, model_management
from ..host.progress import DownloadProgress
from ..host.sockets import LoadedCaptionEncoder, LoadedGuide, LoadedModel, LoadedTokenizer

log = logging.getLogger(__name__)

# What the files of a model were when this process had downloaded them, by their folder.
_downloaded: dict[Path | None, tuple] = {}
# Equal models are shared between nodes for as long as ComfyUI holds one of them.
_loaded: weakref.WeakValueDictionary[tuple, LoadedModel] = weakref.WeakValueDictionary()


@dataclass(frozen=True)
class Menu:
    """The models that a node offers: known names, and what lies in models/KIND."""

    input_name: str
    known: tuple[str, ...]
    kind: str
    demo: Path | None = None

    def choices(self) -> list[str]:
        return list(dict.fromkeys([*self.known, *folders.local_models(self.kind)]))

    def source(self, name: str) -> str | Path:
        """What the library loads: a known name itself, or the path of a model found on disk."""
        local = folders.local_models(self.kind)
        if name not in self.known and name not in local:
            raise ValueError(
                f"{self.input_name} is {shown(name)}, which is neither a known model nor found in "
                f"models/{self.kind}: did you mean one of {nearest(str(name), self.choices())}?"
            )
        return name if name in self.known else local[name]

    def place(self, name: str) -> Path | None:
        """Where the files of a model are, or will be; None for an unknown one."""
        if name == "demo" and self.demo:
            return self.demo
        if name in self.known:
            return folders.download_folder(self.kind, name) / name
        return folders.local_models(self.kind).get(name)


TOKENIZERS = Menu("tokenizer", known_tokenizers(), folders.TOKENIZERS, DEMO_TOKENIZER)
GUIDES = Menu("model", KNOWN_GUIDES, folders.GUIDES, DEMO_GUIDE)
CAPTION_ENCODERS = Menu("model", (CAPTION_ENCODER,), folders.GUIDES)


def tokenizer_named(name: str, download: bool = True) -> LoadedTokenizer:
    """A tokenizer of Load TiTok's menu; downloaded first, if allowed, where files are missing."""
    source = TOKENIZERS.source(name)
    models_dir = folders.download_folder(folders.TOKENIZERS, name)

    def load() -> torch.nn.Module:
        from ...tokenopt_core.tokenizers import load_tokenizer  # reads files: only when run

        return load_tokenizer(
            source, models_dir=models_dir, progress=DownloadProgress(), download=download
        )

    return _share(LoadedTokenizer, name, TOKENIZERS.place(name), load)


def guide_named(name: str, download: bool = True) -> LoadedGuide:
    """A guide of Load CLIP Guide's menu; downloaded first, if allowed, where files are missing."""
    source = GUIDES.source(name)
    models_dir = folders.download_folder(folders.GUIDES, name)

    def load() -> torch.nn.Module:
        return load_guide(
            source, models_dir=models_dir, progress=DownloadProgress(), download=download
        )

    return _share(LoadedGuide, name, GUIDES.place(name), load)


def caption_encoder_named(
    name: str, download: bool = True, quick_gelu: bool | None = None
) -> LoadedCaptionEncoder:
    """A caption encoder of Load Caption Encoder's menu, found and downloaded as a guide is.

    Args:
        quick_gelu: see `load_text_encoder`.
    """
    source = CAPTION_ENCODERS.source(name)
    models_dir = folders.download_folder(folders.GUIDES, name)

    def load() -> torch.nn.Module:
        encoder = load_text_encoder(
            source,
            quick_gelu,
            models_dir=models_dir,
            progress=DownloadProgress(),
            download=download,
        )
        encoder.name = name  # in what it says of texts; a path is nobody's concern
        return encoder

    return _share(LoadedCaptionEncoder, name, CAPTION_ENCODERS.place(name), load, quick_gelu)


def fingerprint_of(tokenizer: str, guide: str) -> str:
    """Another text after a file of either model was replaced."""
    places = TOKENIZERS.place(tokenizer), GUIDES.place(guide)
    return " ".join(map(fingerprint, places))


def fingerprint(place: Path | None) -> str:
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
    kind: type[LoadedModel],
    name: str,
    place: Path | None,
    load: Callable[[], torch.nn.Module],
    variant: object = None,
) -> LoadedModel:
    """The model, loaded at most once for all nodes; it moves to the GPU when it is first used."""
    missing = not _facts(place)
    key = (kind, str(place), fingerprint(place), variant)
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
