"""Files of hub repositories on this computer: find them, or download them."""

from __future__ import annotations

import contextlib
import inspect
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .messages import CannotWrite, Meter, Progress, address, by_hand, in_bytes, reason
from .transfer import (
    Beat,
    RemoteFile,
    bring,
    check,
    check_room,
    failures,
    kept_in,
    locked,
    look_up,
    move_in,
    partial_path,
)

logger = logging.getLogger(__name__)

__all__ = ["DownloadError", "HubFile", "Progress", "fetch_files", "find_file"]


def fetch_files(
    name: str,
    wanted: Sequence[HubFile],
    folder: Path | None,
    progress: Progress | None = None,
    *,
    download: bool = True,
) -> list[Path | None]:
    """Where each file lies (None: an optional one that does not exist), downloaded if need be.

    Nothing is asked of the network when all files are there that are not optional.

    Into `folder` the files come by way of a hidden folder beside it, whole, with the size and (all
    but small files) the SHA-256 that the hub announces: no half-written file is ever in it. What a
    failed, cancelled or killed download has got is kept there from 1 MiB on, and the next one goes
    on from it. A second process that wants the same model waits for the first.

    Args:
        name: of the model, for messages.
        folder: None means the hub's cache, filled in the hub's own way.
        progress: called with the bytes done and in all, of all files, about five times a second
            (0 and 0 at first); an exception that it raises cancels the download.
        download: False raises DownloadError where something is missing.

    Raises:
        DownloadError: offline, no such file, no room on the disk and the like.
    """
    model = HubModel(name, tuple(wanted), folder)
    found = model.find()
    if not model.complete(found) and not download:
        raise DownloadError(model.not_here())
    if model.complete(found):
        return found
    meter = Meter(name, progress)
    if folder is None:
        return _into_cache(model, meter)
    with model.explained(model.missing(found)[0]), locked(model.lock, meter.beat):
        if not model.complete(model.find()):  # else another process has brought them
            try:
                _into_folder(model, meter)
            except BaseException:
                if not kept_in(model.staging):
                    shutil.rmtree(model.staging, ignore_errors=True)
                raise
    return model.find()


def _into_folder(model: HubModel, meter: Meter) -> None:
    """Downloads what is missing beside the folder, then moves it in."""
    planned = _plan(model, meter.beat)
    total = sum(remote.size or 0 for _, remote in planned)
    paths = [partial_path(model.staging, remote) for _, remote in planned]
    there = sum(path.stat().st_size for path in paths if path.is_file())
    first, _ = planned[0]
    with model.explained(first, total):
        check_room(model.folder, total - there)
    logger.info(
        "Downloading %s: %s (%s) from %s to %s%s.",
        model.name,
        " and ".join(remote.name for _, remote in planned),
        in_bytes(total),
        " and ".join(dict.fromkeys(address(remote.repo) for _, remote in planned)),
        model.folder,
        f", {in_bytes(there)} of it are there" if there else "",
    )
    meter.start(total, there)
    for (file, remote), path in zip(planned, paths, strict=True):
        with model.explained(file, remote.size):
            bring(remote, path, meter.beat, meter.reached)
            check(path, remote, meter.beat)
            meter.finish_file(path.stat().st_size)
    for (file, remote), path in zip(planned, paths, strict=True):
        with model.explained(file, remote.size):
            move_in(path, model.folder / remote.name)
    shutil.rmtree(model.staging, ignore_errors=True)
    logger.info("Downloaded %s: %s.", model.name, meter.summary())


def _plan(model: HubModel, beat: Beat) -> list[tuple[HubFile, RemoteFile]]:
    """What the hub has of the files that are missing here."""
    planned = []
    for file in model.missing(model.find()):
        with model.explained(file):
            remote = _first_there(file, beat)
        if remote is not None:
            planned.append((file, remote))
    return planned


def _first_there(file: HubFile, beat: Beat) -> RemoteFile | None:
    """The first name of a file that its repository has; None if it may do without."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in file.names:
        try:
            return look_up(file.repo, name, beat)
        except EntryNotFoundError as error:
            last = name == file.names[-1]
            if isinstance(error, LocalEntryNotFoundError) or (last and not file.optional):
                raise
    return None


def _into_cache(model: HubModel, meter: Meter) -> list[Path | None]:
    """The same into the hub's cache, by the hub's own client."""
    from huggingface_hub import hf_hub_download

    planned = _plan(model, meter.beat)
    total = sum(remote.size or 0 for _, remote in planned)
    logger.info("Downloading %s (%s) into the hub's cache.", model.name, in_bytes(total))
    meter.start(total, 0)
    for file, remote in planned:
        cancelled: list[BaseException] = []
        options = {}
        if "tqdm_class" in inspect.signature(hf_hub_download).parameters:
            options["tqdm_class"] = _progress_bar(meter, cancelled)
        with model.explained(file, remote.size):
            try:
                path = Path(hf_hub_download(remote.repo, remote.name, **options))
            finally:
                if cancelled:  # the hub may report from its own thread, where an error is lost
                    raise cancelled[0]
            check(path, remote, meter.beat)
            meter.finish_file(path.stat().st_size)
    return model.find()


def _progress_bar(meter: Meter, cancelled: list[BaseException]) -> type:
    """The hub's own progress bar, which tells `meter` and keeps what that raises."""
    from huggingface_hub.utils import tqdm

    class ReportingBar(tqdm):
        def __init__(self, *args, **kwargs) -> None:
            super().__init__(*args, **kwargs)
            self._there = kwargs.get("initial") or 0

        def update(self, n: float | None = 1) -> bool | None:
            self._there += n or 0
            try:
                meter.reached(int(self._there))
            except BaseException as error:
                cancelled.append(error)
                raise
            return super().update(n)

    return ReportingBar


class DownloadError(OSError):
    """A model is not here and could not or must not be downloaded; the message says what to fetch
    by hand and where to."""


@dataclass(frozen=True)
class HubFile:
    """A file to have from a hub repository: the first of `names` that is there.

    `size` is about its bytes, for messages before the hub was asked.
    """

    repo: str
    names: tuple[str, ...]
    optional: bool = False
    size: int = 0


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


@dataclass(frozen=True)
class HubModel:
    """The files of one model, and what is said about them."""

    name: str
    wanted: tuple[HubFile, ...]
    folder: Path | None

    @property
    def staging(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.partial")

    @property
    def lock(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.lock")

    def find(self) -> list[Path | None]:
        return [find_file(file, self.folder) for file in self.wanted]

    def complete(self, found: list[Path | None]) -> bool:
        return all(path or file.optional for path, file in zip(found, self.wanted, strict=True))

    def missing(self, found: list[Path | None]) -> list[HubFile]:
        return [file for path, file in zip(found, self.wanted, strict=True) if path is None]

    @contextlib.contextmanager
    def explained(self, file: HubFile, size: int | None = None) -> Iterator[None]:
        """Turns what goes wrong with a file into a DownloadError."""
        try:
            yield
        except DownloadError:
            raise
        except (*failures(), CannotWrite) as error:
            raise DownloadError(self._failed(file, size or file.size, error)) from error

    def not_here(self) -> str:
        size = sum(file.size for file in self.wanted)
        about = f" (about {in_bytes(size)})" if size else ""
        return (
            f"{self.name!r} is not on this computer, and download is off: switch it on to get it"
            f"{about}, or {self._by_hand()}"
        )

    def _failed(self, file: HubFile, size: int, error: BaseException) -> str:
        about = f" ({in_bytes(size)})" if size else ""
        kept = kept_in(self.staging) if self.folder else 0
        again = f" Run again to go on from {in_bytes(kept)}." if kept else ""
        return (
            f"Could not download {file.names[0]}{about} of {self.name!r}: "
            f"{reason(error, file.repo)}.{again} To install it by hand, {self._by_hand()}"
        )

    def _by_hand(self) -> str:
        needed = [(file.repo, file.names[0]) for file in self.wanted if not file.optional]
        return by_hand(needed, self.folder or f"a folder FOLDER/{self.name} (models_dir=FOLDER)")
