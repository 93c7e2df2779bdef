"""What a process keeps for all that run in it: settings that nobody may change unasked, and how
much it holds. Needs no ComfyUI: a test of the library reads this file too."""

from __future__ import annotations

import decimal
import gc
import hashlib
import locale
import logging
import os
import random
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch


def settings() -> dict[str, str]:
    """Everything global that a careless node might set, as texts to compare."""
    found = {**_random(), **_torch(), **_python()}
    return {name: value if isinstance(value, str) else repr(value) for name, value in found.items()}


def holdings() -> dict[str, int]:
    """How much the process holds, after its garbage is gone; what cannot be counted here is 0."""
    dirty = _tensor_bytes()
    gc.collect()
    clean = _tensor_bytes()
    return {
        "tensor bytes": clean,
        "garbage bytes": dirty - clean,  # in circles that only the collector could free
        "resident bytes": _resident(),
        "threads": _count("/proc/self/task"),
        "open files": _count("/proc/self/fd"),
    }


def _tensor_bytes() -> int:
    storages = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), torch.Tensor):
            storage = thing.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values())


def _random() -> dict[str, Any]:
    kind, keys, place, *rest = np.random.get_state()
    return {
        "torch seed": _digest(torch.get_rng_state().numpy().tobytes()),
        "numpy seed": (kind, _digest(keys.tobytes()), place, rest),
        "random seed": _digest(repr(random.getstate()).encode()),
    }


def _torch() -> dict[str, Any]:
    modes = {}
    thread = threading.Thread(target=lambda: modes.update(_modes()))
    thread.start()
    thread.join()
    backends = torch.backends
    sums = ("flash_sdp_enabled", "mem_efficient_sdp_enabled", "math_sdp_enabled")
    return {
        "modes": _modes(),
        "modes of a new thread": modes,
        "default type": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "threads of torch": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision of products": torch.get_float32_matmul_precision(),
        "tf32": (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32),
        "cudnn": (
            backends.cudnn.enabled,
            backends.cudnn.benchmark,
            backends.cudnn.deterministic,
        ),
        "onednn": backends.mkldnn.enabled,
        "attention": [getattr(backends.cuda, name)() for name in sums],
        "fast attention": backends.mha.get_fastpath_enabled(),
        "small numbers": (torch.tensor([1e-40]) * 1).item() != 0,
        "printing": repr(torch._tensor_str.PRINT_OPTS),
        "numpy errors": np.geterr(),
        "numpy printing": np.get_printoptions(),
    }


def _modes() -> dict[str, bool]:
    return {
        "gradient": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "anomaly": torch.is_anomaly_enabled(),
    }


def _python() -> dict[str, Any]:
    root = logging.getLogger()
    pillow = sys.modules.get("PIL.Image"), sys.modules.get("PIL.ImageFile")
    return {
        "warnings": warnings.filters,
        "shown warnings": warnings.showwarning,
        "environment": {
            name: _digest(value.encode())
            for name, value in os.environ.items()
            if name != "TOKENIZERS_PARALLELISM"  # open_clip sets it at its first import
        },
        "logging": (root.level, root.handlers, root.filters, logging.root.manager.disable),
        "level of this pack": [
            (name, logger.level, logger.handlers)
            for name, logger in logging.root.manager.loggerDict.items()
            if "tokenopt" in name.lower() and isinstance(logger, logging.Logger) and logger.level
        ],
        "locale": locale.setlocale(locale.LC_ALL),
        "folder": os.getcwd(),
        "path": sys.path,
        "recursion": sys.getrecursionlimit(),
        "switching": sys.getswitchinterval(),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook, sys.stdout, sys.stderr),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "decimal": decimal.getcontext().prec,
        "timeout": socket.getdefaulttimeout(),
        "garbage": (gc.isenabled(), gc.get_threshold()),
        "pillow": [getattr(pillow[0], "MAX_IMAGE_PIXELS", 0)]
        + [getattr(pillow[1], "LOAD_TRUNCATED_IMAGES", 0)],
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _resident() -> int:
    status = Path("/proc/self/status")
    if not status.is_file():
        return 0
    lines = status.read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def _count(folder: str) -> int:
    return len(os.listdir(folder)) if os.path.isdir(folder) else 0
