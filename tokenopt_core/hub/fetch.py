"""Files of hub repositories on this computer: found, or downloaded into place."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files.small import move_into_place
from . import messages
from .messages import TICK_SECONDS, CannotWrite, DownloadError, Meter, Progress, failures
from .transfer import RemoteFile, Tick, check, download_file, look_up

logger = logging.getLogger(__name__)

WORTH_KEEPING = 2**20  # bytes of a partial download
VERSION_LENGTH = 16  # characters; Windows often takes no path of more than 259


@dataclass(frozen=True)
class HubFile:
    """A file to have from a hub repository: the first of `names` that is there.

    `size` is about its bytes, for messages before the hub was asked.
    """

    repo: str
    names: tuple[str, ...]
    optional: bool = False
    size: int = 0

    def find(self, folder: Path | None) -> Path | None:
        """Where it lies on this computer: in `folder`, or (None) in the hub's cache."""
        from huggingface_hub import try_to_load_from_cache

        for name in self.names:
            path = folder / name if folder else try_to_load_from_cache(self.repo, name)
            if isinstance(path, str | Path) and Path(path).is_file():
                return Path(path)
        return None


def fetch_files(
    name: str,
    files: Sequence[HubFile],
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
        folder: None means the hub's cache, filled by the hub's own client with its own progress
            bar; `progress` is then given 0 of 0 bytes, and can cancel between files only.
        progress: called with the bytes done and in all, of all files, about five times a second
            (0 and 0 at first); an exception that it raises cancels the download.
        download: False raises DownloadError where something is missing.

    Raises:
        DownloadError: offline, no such file, no room on the disk and the like.
    """
    model = _Model(name, tuple(files), folder)
    if not model.complete():
        if not download:
            size = sum(file.size for file in files)
            raise DownloadError(messages.not_here(name, size, model.by_hand()))
        meter = Meter(name, progress)
        if folder is None:
            _into_cache(model, meter.tick)
        else:
            _into_folder(model, meter)
    return model.find()


@dataclass(frozen=True)
class _Model:
    """The files of one model, where they go, and what is said about them."""

    name: str
    files: tuple[HubFile, ...]
    folder: Path | None

    @property
    def staging(self) -> Path:
        """The folder in which its files grow."""
        return self.folder.with_name(f".{self.folder.name}.partial")

    @property
    def kept(self) -> int:
        """Bytes from which the next download can go on; 0 if there are too few to keep."""
        files = self.staging.iterdir() if self.folder and self.staging.is_dir() else ()
        size = sum(file.stat().st_size for file in files)
        return size if size >= WORTH_KEEPING else 0

    def find(self) -> list[Path | None]:
        return [file.find(self.folder) for file in self.files]

    def missing(self) -> list[HubFile]:
        return [file for file, path in zip(self.files, self.find(), strict=True) if path is None]

    def complete(self) -> bool:
        return all(file.optional for file in self.missing())

    @contextlib.contextmanager
    def explained(self, file: HubFile, size: int | None = None) -> Iterator[None]:
        """Turns what goes wrong with a file into a DownloadError."""
        try:
            yield
        except DownloadError:
            raise
        except (*failures(), CannotWrite) as error:
            why = messages.reason(error, file.repo)
            size, manual = size or file.size, self.by_hand()
            message = messages.failed(file.names[0], self.name, size, why, self.kept, manual)
            raise DownloadError(message) from error

    def by_hand(self) -> str:
        needed = [(file.repo, file.names[0]) for file in self.files if not file.optional]
        target = self.folder or f"a folder FOLDER/{self.name} (models_dir=FOLDER)"
        return messages.by_hand(needed, target)


def _into_cache(model: _Model, tick: Tick) -> None:
    """Downloads what is missing into the hub's cache, by the hub's own client."""
    from huggingface_hub import hf_hub_download

    for file, remote in _plan(model, tick):
        logger.info("Downloading %s of %s into the hub's cache.", remote.name, model.name)
        with model.explained(file, remote.size):
            check(Path(hf_hub_download(remote.repo, remote.name)), remote, tick)


def _into_folder(model: _Model, meter: Meter) -> None:
    """Downloads what is missing beside the folder, then moves it in; one process at a time."""
    lock = model.folder.with_name(f".{model.folder.name}.lock")
    with model.explained(model.missing()[0]), _locked(lock, meter.tick):
        try:
            if not model.complete():  # otherwise another process has downloaded them
                _into_staging(model, meter)
        finally:
            if model.complete() or not model.kept:
                shutil.rmtree(model.staging, ignore_errors=True)


def _into_staging(model: _Model, meter: Meter) -> None:
    """Downloads into the hidden folder, each file under its version's name: never onto the bytes of
    another version. Moves them into the model's folder when all are complete."""
    planned = [
        (file, remote, model.staging / f"{remote.name}.{remote.version[:VERSION_LENGTH]}")
        for file, remote in _plan(model, meter.tick)
    ]
    total = sum(remote.size or 0 for _, remote, _ in planned)
    kept = sum(path.stat().st_size for _, _, path in planned if path.is_file())
    with model.explained(planned[0][0], total):
        _check_room(model.folder, total - kept)
    logger.info(
        "Downloading %s: %s (%s) from %s to %s%s.",
        model.name,
        " and ".join(remote.name for _, remote, _ in planned),
        messages.in_bytes(total),
        " and ".join(dict.fromkeys(messages.address(remote.repo) for _, remote, _ in planned)),
        model.folder,
        f", {messages.in_bytes(kept)} of it are there" if kept else "",
    )
    meter.start(total, kept)
    for file, remote, path in planned:
        with model.explained(file, remote.size):
            download_file(remote, path, meter)
            check(path, remote, meter.tick)
            meter.finish_file(path.stat().st_size)
    for file, remote, path in planned:
        with model.explained(file, remote.size):
            move_into_place(path, model.folder / remote.name)
    logger.info("Downloaded %s: %s.", model.name, meter.summary())


def _plan(model: _Model, tick: Tick) -> list[tuple[HubFile, RemoteFile]]:
    """What the hub has of the files that are missing here."""
    planned = []
    for file in model.missing():
        with model.explained(file):
            remote = _first_there(file, tick)
        if remote is not None:
            planned.append((file, remote))
    return planned


def _first_there(file: HubFile, tick: Tick) -> RemoteFile | None:
    """The first name of a file that its repository has; None if it may do without."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    for name in file.names:
        try:
            return look_up(file.repo, name, tick)
        except EntryNotFoundError as error:
            last = name == file.names[-1]
            if isinstance(error, LocalEntryNotFoundError) or (last and not file.optional):
                raise
    return None


@contextlib.contextmanager
def _locked(path: Path, tick: Tick) -> Iterator[None]:
    """Holds a lock file, and waits (`tick()` may cancel that) while another process holds it.

    The system releases the lock of a process that died.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock, waiting = FileLock(path), False
    while not lock.is_locked:
        tick()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not waiting:
                logger.info("Another process is downloading this model: waiting for it (%s).", path)
            waiting = True
            time.sleep(TICK_SECONDS)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes it when it is released
            path.unlink()
        lock.release()


def _check_room(folder: Path, needed: int) -> None:
    """Raise CannotWrite unless the disk of a folder (that may not exist yet) has `needed` bytes."""
    parent = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(parent).free
    if needed > free:
        there, asked = messages.in_bytes(free), messages.in_bytes(needed)
        raise CannotWrite(f"it needs {asked}, and {parent} has {there} free")
