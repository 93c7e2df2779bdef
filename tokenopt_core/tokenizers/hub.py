"""Released weights on this computer: find them, or download them when the user asks for them."""

from __future__ import annotations

from pathlib import Path

from ..hub.fetch import DownloadError, HubFile, Progress, fetch_files, find_file
from .registry import Release

__all__ = ["DownloadError", "Progress", "fetch_release", "find_release"]


def find_release(release: Release, models_dir: str | Path | None = None) -> Path | None:
    """The folder that has the weights of a release, or None. Never uses the network.

    Args:
        models_dir: the folder that has (or will have) one folder per tokenizer, called by its
            name; None means the hub's own cache.
    """
    folder = Path(models_dir) / release.spec.name if models_dir is not None else None
    weights = find_file(HubFile(release.repo, (release.weights,)), folder)
    return weights.parent if weights else None


def fetch_release(
    release: Release,
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
    *,
    download: bool = True,
) -> Path:
    """The folder that has the weights of a release, downloaded first if they are not there.

    See `fetch_files` for how, for the arguments, and for what it raises.
    """
    folder = find_release(release, models_dir)
    if folder is not None:
        return folder
    *others, weights = release.files
    wanted = [HubFile(release.repo, (file,)) for file in others]
    wanted += [HubFile(release.repo, (weights,), size=_size(release))]
    folder = Path(models_dir) / release.spec.name if models_dir is not None else None
    *_, path = fetch_files(release.spec.name, wanted, folder, progress, download=download)
    return path.parent


def _size(release: Release) -> int:
    """About the bytes of its weights, without asking for them: its tensors in float32."""
    import torch

    from .loading import build_tokenizer  # which needs this module

    with torch.device("meta"):
        tensors = build_tokenizer(release.spec).state_dict().values()
    return sum(4 * tensor.numel() for tensor in tensors)
