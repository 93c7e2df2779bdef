"""Metadata for the registry in pyproject.toml: read, filled in, and the models it must name."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from ..comfyui.layout import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # comes with pytest

PYPROJECT = ROOT / "pyproject.toml"
HUB = "https://huggingface.co"
PLACEHOLDERS = {"publisher": "your-publisher-id", "repository": "OWNER/NAME"}


def read(text: str | None = None) -> dict[str, Any]:
    """pyproject.toml (or this text of one) as Python sees it."""
    return tomllib.loads(text or PYPROJECT.read_text(encoding="utf-8"))


def filled_in(text: str, publisher: str, repository: str) -> str:
    """The text with the lines that wait for an address uncommented, and all placeholders replaced.

    Args:
        repository: "owner/name" on GitHub.

    Raises:
        ValueError: one of the two cannot be what it should, or nothing is left to fill in.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", publisher):
        raise ValueError(f"The publisher is {publisher!r}, expected the registry's id of one.")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError(f"The repository is {repository!r}, expected OWNER/NAME as on GitHub.")
    waiting = rf'^# (\[project\.urls\]|\w+ = ".*{PLACEHOLDERS["repository"]}.*")$'
    text, lines = re.subn(waiting, r"\1", text, flags=re.MULTILINE)
    if not lines or PLACEHOLDERS["publisher"] not in text:
        raise ValueError("pyproject.toml is filled in already: change it by hand.")
    text = text.replace(PLACEHOLDERS["publisher"], publisher)
    return text.replace(PLACEHOLDERS["repository"], repository)


def downloadable() -> list[dict[str, str]]:
    """The files without which a released model would be downloaded, as `Models` lists them.

    A location is a path below ComfyUI's models folder.
    """
    return [*_tokenizers(), *_guides()]


def _tokenizers() -> Iterator[dict[str, str]]:
    from tokenopt_core.tokenizers.registry import RELEASES

    for name, release in RELEASES.items():
        yield _model(f"titok/{name}", release.repo, release.weights)


def _guides() -> Iterator[dict[str, str]]:
    import open_clip

    from tokenopt_core.guides.files import KNOWN_GUIDES, TOKENIZER, WEIGHTS

    for name in KNOWN_GUIDES[1:]:  # the first is the demo's
        model, _, tag = name.rpartition("/")
        repo = open_clip.get_pretrained_cfg(model, tag)["hf_hub"].strip("/")
        yield _model(f"titok_guides/{name}", repo, WEIGHTS[0])
        words = open_clip.get_model_config(model)["text_cfg"].get("hf_tokenizer_name")
        for file in TOKENIZER if words else ():
            yield _model(f"titok_guides/{name}", words, file)


def _model(folder: str, repo: str, file: str) -> dict[str, str]:
    return {
        "location": f"/{folder}/{file}",
        "model_url": f"{HUB}/{repo}/resolve/main/{file}",
    }
