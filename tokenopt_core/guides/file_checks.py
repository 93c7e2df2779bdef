"""Checks of a guide's files, before open_clip and transformers get them and afterwards.

Neither library looks at sizes before it allocates, nor at what it computes with: a configuration of
a few hundred bytes could fill the memory, and a division by zero makes every similarity NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..checks import shortened, shown
from ..files.weights import check_finite

# Each far beyond every published model.
MOST = {"layers": 512, "image_size": 4096, "context_length": 2**14}
MOST_OTHERS = 2**22
MOST_ROOM = 2  # times the numbers of the weights, for what is made beside them
MOST_SHIFT = 1000  # of the normalization of images
SPARE = 2**20
TOKENIZER_OPTIONS = ("clean", "language", "strip_sep_token", "tokenizer_mode")


def check_numbers(config: Path, part: str, settings: Mapping[str, Any]) -> None:
    """Raise ValueError if a size in `settings`, called `part` in the message, is out of bounds."""
    for key, value in settings.items():
        most = MOST.get(key, MOST_OTHERS)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int | float) and not abs(number) <= most:  # NaN too
                raise ValueError(
                    f"{config} has {part}.{key} {shown(value)}, expected at most {most}: get the "
                    "published file again."
                )
    size = settings.get("image_size", 1)
    if isinstance(size, int) and size < 1:
        raise ValueError(f"{config} has {part}.image_size {size}, expected 1 or more pixels.")


def check_room(config: Path, weights: Path, model_cfg: Mapping[str, Any], numbers: int) -> None:
    """Raise ValueError if a configuration describes far more than its weights, or what open_clip
    would fail to build, before it is built: memory is spent on the parts before the one that fails.

    Args:
        numbers: how many the weights file has.
    """
    from open_clip import CLIP, CustomTextCLIP

    settings = dict(model_cfg)
    if "multimodal_cfg" in settings:
        raise ValueError(f"guide {config.parent} is a CoCa model: choose a CLIP or SigLIP model.")
    kind = CustomTextCLIP if settings.pop("custom_text", False) else CLIP
    try:
        with torch.device("meta"):  # takes no memory
            plan = kind(**settings)
    except Exception as error:  # a wrong configuration stops open_clip in many ways
        raise no_model(weights, error) from error
    planned = sum(tensor.numel() for tensor in (*plan.parameters(), *plan.buffers()))
    if planned > MOST_ROOM * numbers + SPARE:
        raise ValueError(
            f"{config} describes a model of {planned} numbers, but the weights beside it are "
            f"{numbers}: get files that belong together."
        )


def no_model(weights: Path, error: Exception) -> Exception:
    """What to raise where open_clip cannot make a model."""
    without_timm = isinstance(error, RuntimeError) and "install the latest timm" in str(error)
    if without_timm or isinstance(error, ImportError):
        return ImportError(str(error))
    return ValueError(
        f"{weights} and its configuration do not make a model ({reason(error)}): check "
        "that both belong together, or get them again."
    )


def reason(error: Exception) -> str:
    """What an error says, on one line and short."""
    text = " ".join(str(error).split()).rstrip(".")
    return shortened(text or type(error).__name__, 160)


def check_model(weights: Path, model: nn.Module) -> None:
    """Raise ValueError if a weight is no finite number."""
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            check_finite(weights, key, tensor)


def check_statistics(name: str, mean: Sequence[Any], std: Sequence[Any]) -> None:
    """Raise ValueError unless images can be normalized with these."""
    for key, values, least in (("mean", mean, -MOST_SHIFT), ("std", std, 1 / MOST_SHIFT)):
        numbers = isinstance(values, list | tuple) and len(values) == 3
        if not numbers or not all(_is_within(value, least) for value in values):
            raise ValueError(
                f"guide {name} has the {key} {shown(values)}, expected three numbers from "
                f"{least:g} to {MOST_SHIFT}, one for each colour."
            )


def check_tokenizer_options(folder: Path, options: Any) -> dict[str, Any]:
    """The options of a text tokenizer; raise ValueError if they could do more than clean a text."""
    if not isinstance(options, Mapping) or not set(options) <= set(TOKENIZER_OPTIONS):
        raise ValueError(
            f"the configuration in {folder} has text_cfg.tokenizer_kwargs {shown(options)}, "
            f"expected none but {', '.join(TOKENIZER_OPTIONS)}."
        )
    return dict(options)


def check_ids(ids: Tensor, length: int, words: int) -> None:
    """Raise ValueError unless these ids of one text are what a text tower of `words` can read."""
    if tuple(ids.shape) != (1, length) or not 0 <= ids.min() <= ids.max() < words:
        raise ValueError(
            f"it gives ids of shape {tuple(ids.shape)} up to {int(ids.max())}, expected "
            f"(1, {length}) below {words}"
        )


def _is_within(value: Any, least: float) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and least <= value <= MOST_SHIFT
