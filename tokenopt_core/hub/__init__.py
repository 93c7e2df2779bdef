"""Models from hubs: files found on this computer, or downloaded."""

from .fetch import HubFile, fetch_files
from .messages import DownloadError, Progress

__all__ = ["DownloadError", "HubFile", "Progress", "fetch_files"]
