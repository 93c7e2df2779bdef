"""Released weights on this computer: find them, or download them when the user asks for them."""

from __future__ import annotations

import inspect
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from .registry import Release

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
TIMEOUT = 10.0


class DownloadError(OSError):
    """A release could not be downloaded; the message says what to fetch by hand and where to."""


def find_release(release: Release, models_dir: str | Path | None = None) -> Path | None:
    """The folder that has the weights of a release, or None. Never uses the network.

    Args:
        models_dir: the folder that has (or will have) one folder per tokenizer, called by its
            name; None means the hub's own cache.
    """
    if models_dir is not None:
        folder = Path(models_dir) / release.spec.name
        return folder if (folder / release.weights).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(release.repo, release.weights)
    return Path(path).parent if isinstance(path, str) else None


def fetch_release(
    release: Release,
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder that has the weights of a release, downloaded first if they are not there.

    Into `models_dir` the files come by way of a hidden folder beside their place, which is removed
    whether the download succeeds or not: no half-written file is left. An exception raised by
    `progress(bytes done, bytes in all)`, called for each piece of a file, cancels the download.

    Raises:
        DownloadError: offline, no such file, no room on the disk and the like.
    """
    folder = find_release(release, models_dir)
    if folder is not None:
        return folder
    logger.info("Downloading %s from %s.", ", ".join(release.files), release.repo)
    if models_dir is None:
        return _download(release, None, None, progress)
    folder = Path(models_dir) / release.spec.name
    staging = folder.with_name(f".{release.spec.name}.partial")
    try:
        _download(release, folder, staging, progress)
        folder.mkdir(parents=True, exist_ok=True)
        for file in release.files:
            os.replace(staging / file, folder / file)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _download(
    release: Release, folder: Path | None, staging: Path | None, progress: Progress | None
) -> Path:
    """Download to `staging` (None: to the hub's cache), and check what came."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    # The base of HfHubHTTPError is the failure class of the hub's HTTP client, which differs
    # between versions of the hub.
    failures = (OSError, EntryNotFoundError, *HfHubHTTPError.__bases__)
    options = {} if staging is None else {"local_dir": staging}
    if progress and "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _progress_bar(progress)
    for file in release.files:
        try:
            # Asked first because, without a network, this one fails at once.
            size = get_hf_file_metadata(hf_hub_url(release.repo, file), timeout=TIMEOUT).size
            path = Path(hf_hub_download(release.repo, file, **options))
            _check_complete(path, size)
        except failures as error:
            raise DownloadError(_by_hand(release, file, folder, error)) from error
    return path.parent


def _check_complete(path: Path, size: int | None) -> None:
    """Remove a file and raise OSError unless it has the announced size and a header that fits."""
    from safetensors import SafetensorError, safe_open

    try:
        if size is not None and path.stat().st_size != size:
            raise OSError(f"{path.name} has {path.stat().st_size} bytes, expected {size}")
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt"):
                pass
    except (OSError, SafetensorError) as error:
        path.resolve().unlink(missing_ok=True)  # in the hub's cache, path is a link
        path.unlink(missing_ok=True)
        raise OSError(f"{path.name} is damaged or incomplete: {error}") from error


def _by_hand(release: Release, file: str, folder: Path | None, error: BaseException) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    target = folder if folder is not None else f"a folder of your own (say, {release.spec.name})"
    load = "" if folder is not None else " and load that folder"
    return (
        f"Could not download {file} of {release.spec.name!r} from the hub repository "
        f"{release.repo} ({reason.rstrip('.')}). To install it by hand, put "
        f"{' and '.join(release.files)} from huggingface.co/{release.repo} into {target}{load}."
    )


def _progress_bar(progress: Progress) -> type:
    """The hub's own progress bar, which also reports to `progress`."""
    from huggingface_hub.utils import tqdm

    class ReportingBar(tqdm):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            self._done, self._all = kwargs.get("initial") or 0, kwargs.get("total") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self._done += n or 0
            progress(int(self._done), int(self._all))
            return super().update(n)

    return ReportingBar
