"""Files of a guide or a caption encoder: found or downloaded, and checked before they are used.

open_clip and transformers ask the network for what a configuration names, and may offer to run
code that comes with a model. A folder of the user's may do neither.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..checks import nearest, shown
from ..files.small import read_json
from ..files.weights import read_weights
from ..hub import HubFile, Progress, fetch_files
from .file_checks import check_numbers, check_room

DEMO_GUIDE = Path(__file__).parents[1] / "demo" / "clip"
SIZES = {  # about the bytes of the weights: four for each parameter
    "ViT-B-32/laion2b_s34b_b79k": 605_100_000,
    "ViT-B-16/datacomp_xl_s13b_b90k": 598_500_000,
    "ViT-L-14/datacomp_xl_s13b_b90k": 1_710_500_000,
    "ViT-B-16-SigLIP/webli": 812_600_000,
    "ViT-B-16-SigLIP2/webli": 1_500_800_000,
}
KNOWN_GUIDES = ("demo", *SIZES)
CAPTION_ENCODER = "ViT-L-14-336/openai"  # whose text half TA-TiTok and MaskGen were trained with
CAPTION_SHAPE = 77, 768  # of its guidance: positions and width
CAPTION_ENCODER_SIZE = 1_711_800_000
Fetch = Callable[[str, Sequence[HubFile], Path | None], list[Path | None]]  # fetch_files
CONFIG = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# open_clip's own order of preference in a folder.
LOCAL_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
)
TOWERS = ("vision_cfg", "text_cfg")
TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
MORE_TOKENIZER = ("special_tokens_map.json", "vocab.txt", "spiece.model")


@dataclass(frozen=True, kw_only=True)
class GuideFiles:
    """What open_clip needs: its name for the model, options, weights, and the model's settings.

    `tokenizer` is the folder of a Hugging Face tokenizer; None means open_clip's own.
    """

    model: str
    weights: Path
    settings: Mapping[str, Any]
    tokenizer: Path | None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> Mapping[str, Any]:
        """The settings of the text tower."""
        return self.settings["text_cfg"]


def find_guide(
    source: str | Path,
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
    towers: Sequence[str] = TOWERS,
) -> GuideFiles:
    """The checked files of a guide; see `load_guide` for the arguments.

    Args:
        towers: which parts of the model are wanted, and so must be described.
    """
    source = str(source)
    fetch = partial(fetch_files, progress=progress, download=download)
    if source == "demo":
        return _local(DEMO_GUIDE, towers)
    if source.startswith("hf-hub:"):
        return _from_hub(source.removeprefix("hf-hub:"), models_dir, fetch, towers)
    if source and Path(source).exists():
        return _local(Path(source), towers)
    return _released(source, models_dir, fetch)


@contextmanager
def no_traces() -> Iterator[None]:
    """Takes back what open_clip does to the process: it draws weights before it loads others, and
    its messages set up logging where nobody has."""
    handlers = logging.root.handlers[:]
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for handler in set(logging.root.handlers) - set(handlers):
            logging.root.removeHandler(handler)


def _released(name: str, models_dir: str | Path | None, fetch: Fetch) -> GuideFiles:
    """A model of open_clip's table, "Model/tag": its configuration is part of open_clip."""
    import open_clip

    model, _, tag = name.rpartition("/")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if tag not in tags:
        near = f"{model}/{nearest(tag, tags)}" if tags else nearest(name, KNOWN_GUIDES)
        raise ValueError(
            f"model {name!r} is neither a folder nor a released model: expected 'demo', a "
            f"folder, 'hf-hub:owner/name' or 'Model/tag' (like {near})."
        )
    facts = open_clip.get_pretrained_cfg(model, tag)
    repo, _, file = facts.get("hf_hub", "").rpartition("/")
    if not repo:
        raise ValueError(f"model {name!r} is not on the hub: choose another one.")
    settings = open_clip.get_model_config(model)
    folder = Path(models_dir) / name if models_dir else None
    weights, tokenizer = _fetch(name, repo, file, settings["text_cfg"], folder, fetch)
    read_weights(weights)
    options = {
        "pretrained": str(weights),
        "force_quick_gelu": facts.get("quick_gelu", False),
        "force_preprocess_cfg": {key: facts[key] for key in ("mean", "std") if key in facts},
    }
    return GuideFiles(
        model=model, weights=weights, settings=settings, tokenizer=tokenizer, options=options
    )


def _from_hub(
    repo: str, models_dir: str | Path | None, fetch: Fetch, towers: Sequence[str]
) -> GuideFiles:
    """A repository in open_clip layout: its configuration is fetched and checked, then the rest."""
    folder = Path(models_dir) / repo if models_dir else None
    (config,) = fetch(repo, [HubFile(repo, (CONFIG,))], folder)
    text = _checked_settings(config, towers)["text_cfg"]
    weights, tokenizer = _fetch(repo, repo, "", text, folder, fetch)
    return _local(weights.parent, towers, tokenizer)


def _fetch(
    name: str,
    repo: str,
    file: str,
    text: Mapping[str, Any],
    folder: Path | None,
    fetch: Fetch,
) -> tuple[Path, Path | None]:
    """The weights and the folder of the tokenizer's files (None: open_clip's own tokenizer)."""
    names = (str(Path(file).with_suffix(".safetensors")), file) if file else WEIGHTS
    size = CAPTION_ENCODER_SIZE if name == CAPTION_ENCODER else SIZES.get(name, 0)
    wanted = [HubFile(repo, names, size=size)]
    words = text.get("hf_tokenizer_name")
    if words:
        wanted += [HubFile(words, (each,)) for each in TOKENIZER]
        wanted += [HubFile(words, (each,), optional=True) for each in MORE_TOKENIZER]
    weights, *tokenizer = fetch(name, wanted, folder)
    return weights, tokenizer[0].parent if words else None


def _local(path: Path, towers: Sequence[str], tokenizer: Path | None = None) -> GuideFiles:
    """The files of a folder, or of a file's folder, in open_clip layout."""
    folder = Path(os.path.abspath(path.parent if path.is_file() else path))
    config = folder / CONFIG
    if not config.is_file():
        raise FileNotFoundError(
            f"model folder {folder} has no {CONFIG}, which describes its weights."
        )
    settings = _checked_settings(config, towers)
    weights = _weights_in(folder)
    if towers == TOWERS:
        # open_clip's own words for damaged files and code in them are unclear, and it looks at
        # sizes when it has made the model.
        numbers = sum(tensor.numel() for tensor in read_weights(weights).values())
        check_room(config, weights, settings, numbers)
    if settings["text_cfg"].get("hf_tokenizer_name"):
        tokenizer = tokenizer or folder
        _check_tokenizer(tokenizer)
    return GuideFiles(
        model=f"local-dir:{folder}", weights=weights, settings=settings, tokenizer=tokenizer
    )


def _weights_in(folder: Path) -> Path:
    files = {file.name: file for file in folder.iterdir() if file.is_file()}
    for name in LOCAL_WEIGHTS:
        if name in files:
            return files[name]
    others = sorted(n for n in files if n.endswith((".safetensors", ".bin", ".pth")))
    if len(others) == 1:
        return files[others[0]]
    raise FileNotFoundError(
        f"model folder {folder} has {', '.join(others) or 'no weights'}: put {WEIGHTS[0]} there."
    )


def _checked_settings(config: Path, towers: Sequence[str]) -> Mapping[str, Any]:
    """The model's settings in a configuration that asks for nothing from elsewhere."""
    model = read_json(config).get("model_cfg")
    parts = {key: model.get(key) if isinstance(model, dict) else None for key in towers}
    for key, part in parts.items():
        if not isinstance(part, dict):
            raise ValueError(f"{config} has no model_cfg.{key}: take the file that was published.")
    for key, part in (("model_cfg", model), *parts.items()):
        check_numbers(config, key, part)
    text, vision = parts["text_cfg"], parts.get("vision_cfg", {})
    for key, value, wanted in (
        ("text_cfg.hf_model_name", text.get("hf_model_name"), "a text tower of open_clip's own"),
        ("vision_cfg.timm_model_pretrained", vision.get("timm_model_pretrained"), "false"),
    ):
        if value:
            raise ValueError(
                f"{config} has {key} {shown(value)}, which would be fetched from the network: "
                f"expected {wanted}."
            )
    if ":" in str(vision.get("timm_model_name", "")):
        raise ValueError(
            f"{config} has vision_cfg.timm_model_name {shown(vision['timm_model_name'])}, which "
            "leads elsewhere: expected the name of an architecture of timm."
        )
    return model


def _check_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"model folder {folder} has no {path.name}, which its configuration asks for."
        )
    if "auto_map" in read_json(path):
        raise ValueError(f"{path} asks for code of its own (auto_map), which is never run here.")
