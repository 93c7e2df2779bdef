"""Released weights on this computer: find them, or download them when the user asks for them."""

from __future__ import annotations

from pathlib import Path

from ..downloads import DownloadError, HubFile, Progress, fetch_files, find_file
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
) -> Path:
    """The folder that has the weights of a release, downloaded first if they are not there.

    See `fetch_files` for how, and for what it raises.
    """
    folder = find_release(release, models_dir)
    if folder is not None:
        return folder
    wanted = [HubFile(release.repo, (file,)) for file in release.files]
    folder = Path(models_dir) / release.spec.name if models_dir is not None else None
    *_, weights = fetch_files(release.spec.name, wanted, folder, progress)
    return weights.parent
