"""Files of hub repositories on this computer: find them, or download them."""

from __future__ import annotations

import inspect
import io
import logging
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub import HfFileMetadata

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
TIMEOUT = 10.0
WORTH_KEEPING = 2**20  # bytes


class DownloadError(OSError):
    """A model could not be downloaded; the message says what to fetch by hand and where to."""


@dataclass(frozen=True)
class HubFile:
    """A file to have from a hub repository: the first of `names` that is there."""

    repo: str
    names: tuple[str, ...]
    optional: bool = False


def find_file(wanted: HubFile, folder: Path | None) -> Path | None:
    """The file where it lies on this computer: in `folder`, or (None) in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    for name in wanted.names:
        if folder is not None:
            path = folder / name
        else:
            cached = try_to_load_from_cache(wanted.repo, name)
            path = Path(cached) if isinstance(cached, str) else None
        if path is not None and path.is_file():
            return path
    return None


def fetch_files(
    name: str, wanted: Sequence[HubFile], folder: Path | None, progress: Progress | None = None
) -> list[Path | None]:
    """Where each file lies (None: an optional one that does not exist), downloaded if need be.

    Nothing is asked of the network when all files are there that are not optional.

    Into `folder` the files come by way of a hidden folder beside it, so that no half-written file
    is ever in it. What a failed download has got is kept there, and the next one goes on from it.
    An exception raised by `progress(bytes done, bytes in all)`, called for each piece of a file,
    cancels the download and removes what it has got.

    Args:
        name: of the model, for messages.
        folder: None means the hub's cache.

    Raises:
        DownloadError: offline, no such file, no room on the disk and the like.
    """
    found = [find_file(file, folder) for file in wanted]
    if all(path or file.optional for path, file in zip(found, wanted, strict=True)):
        return found
    staging = folder.with_name(f".{folder.name}.partial") if folder is not None else None
    missing = [i for i, path in enumerate(found) if path is None]
    logger.info("Downloading %s from %s.", name, wanted[missing[0]].repo)
    try:
        fetched = {i: _first_there(name, wanted, i, folder, staging, progress) for i in missing}
    except BaseException as error:
        if staging is not None and not (
            isinstance(error, DownloadError) and _worth_keeping(staging)
        ):
            shutil.rmtree(staging, ignore_errors=True)
        raise
    for i, (file, path) in fetched.items():
        found[i] = path
        if staging is not None and path is not None:
            folder.mkdir(parents=True, exist_ok=True)
            os.replace(path, folder / file)
            found[i] = folder / file
    if staging is not None:
        shutil.rmtree(staging, ignore_errors=True)
    return found


def _worth_keeping(staging: Path) -> bool:
    """Whether a failed download has left so much that the next one should go on from it."""
    files = staging.iterdir() if staging.is_dir() else ()
    return sum(file.stat().st_size for file in files) >= WORTH_KEEPING


def _first_there(
    name: str,
    wanted: Sequence[HubFile],
    index: int,
    folder: Path | None,
    staging: Path | None,
    progress: Progress | None,
) -> tuple[str, Path | None]:
    """The first name of `wanted[index]` that its repository has, and where it was downloaded to."""
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    # The base of HfHubHTTPError is the failure class of the hub's HTTP client, which differs
    # between versions of the hub.
    failures = (OSError, EntryNotFoundError, *HfHubHTTPError.__bases__)
    one = wanted[index]
    for file in one.names:
        try:
            return file, _download(one.repo, file, staging, progress)
        except failures as error:
            absent = isinstance(error, EntryNotFoundError)
            if absent and not isinstance(error, LocalEntryNotFoundError):
                if file != one.names[-1]:
                    continue
                if one.optional:
                    break
            message = _by_hand(name, wanted, one.names[0], folder, error)
            raise DownloadError(message) from error
    return one.names[0], None


def _download(repo: str, file: str, staging: Path | None, progress: Progress | None) -> Path:
    """Download one file, to `staging` or (None) to the hub's cache, and check what came."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    url = hf_hub_url(repo, file)
    # Asked first because, without a network, this one fails at once.
    facts = get_hf_file_metadata(url, timeout=TIMEOUT)
    if staging is not None:
        path = _download_to(staging, file, url, facts, progress)
        _check_complete(path, file, facts.size)
        return path
    cancelled: list[BaseException] = []
    options = {}
    if progress and "tqdm_class" in inspect.signature(hf_hub_download).parameters:
        options["tqdm_class"] = _progress_bar(progress, cancelled)
    try:
        path = Path(hf_hub_download(repo, file, **options))
    finally:
        if cancelled:  # the hub may report from a thread of its own, where an exception is lost
            raise cancelled[0]
    _check_complete(path, file, facts.size)
    return path


def _download_to(
    staging: Path, file: str, url: str, facts: HfFileMetadata, progress: Progress | None
) -> Path:
    """Download by plain HTTP, which can be cancelled and go on where an earlier attempt stopped."""
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    version = re.sub(r"\W", "", facts.etag or "")[:40]  # never go on from another version's bytes
    path = staging / f"{file}.{version}"
    staging.mkdir(parents=True, exist_ok=True)
    with _ReportingFile(path, facts.size, progress) as opened:
        http_get(
            url,
            opened,
            resume_size=opened.tell(),
            headers=build_hf_headers(),
            expected_size=facts.size,
            displayed_filename=file,
        )
    return path


class _ReportingFile(io.BufferedWriter):
    """A file to append to, which reports its size at each write."""

    def __init__(self, path: Path, size: int | None, progress: Progress | None) -> None:
        if size is not None and path.is_file() and path.stat().st_size > size:
            path.unlink()
        super().__init__(io.FileIO(path, "ab"))
        self._size, self._progress = size or 0, progress
        self.seek(0, os.SEEK_END)

    def write(self, data: bytes) -> int:
        written = super().write(data)
        if self._progress:
            done = self.tell()
            self._progress(done, max(done, self._size))
        return written


def _check_complete(path: Path, file: str, size: int | None) -> None:
    """Remove a file and raise OSError unless it has the announced size and a header that fits."""
    from safetensors import SafetensorError, safe_open

    try:
        if size is not None and path.stat().st_size != size:
            raise OSError(f"it has {path.stat().st_size} bytes, expected {size}")
        if file.endswith(".safetensors"):
            with safe_open(path, framework="pt"):
                pass
    except (OSError, SafetensorError) as error:
        path.resolve().unlink(missing_ok=True)  # in the hub's cache, path is a link
        path.unlink(missing_ok=True)
        raise OSError(f"{file} is damaged or incomplete: {error}") from error


def _by_hand(
    name: str, wanted: Sequence[HubFile], file: str, folder: Path | None, error: BaseException
) -> str:
    """What failed, and how to do without the network."""
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    repos: dict[str, list[str]] = {}
    for each in wanted:
        if not each.optional:
            repos.setdefault(each.repo, []).append(each.names[0])
    parts = [f"{' and '.join(files)} from huggingface.co/{repo}" for repo, files in repos.items()]
    target = folder or f"a folder FOLDER/{name} and give models_dir=FOLDER"
    return (
        f"Could not download {file} of {name!r} from the hub repository "
        f"{next(each.repo for each in wanted if file in each.names)} ({reason.rstrip('.')}). To "
        f"install it by hand, put {' and '.join(parts)} into {target}."
    )


def _progress_bar(progress: Progress, cancelled: list[BaseException]) -> type:
    """The hub's own progress bar, which reports to `progress` and keeps what that raises."""
    from huggingface_hub.utils import tqdm

    class ReportingBar(tqdm):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            self._done, self._all = kwargs.get("initial") or 0, kwargs.get("total") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self._done += n or 0
            try:
                progress(int(self._done), int(self._all))
            except BaseException as error:
                cancelled.append(error)
                raise
            return super().update(n)

    return ReportingBar
