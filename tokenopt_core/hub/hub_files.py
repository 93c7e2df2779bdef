"""The files of a model on the hub: which are wanted, where they lie, what is said about them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .messages import by_hand, in_bytes, reason
from .staging import kept_in
from .transfer import CannotWrite, failures


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
