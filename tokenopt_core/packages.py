"""What to do about a package that cannot be imported, said in one sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Those of requirements.txt, for a library that was installed without that file (a test compares).
PACKAGES = (
    "filelock",
    "huggingface_hub",
    "numpy",
    "open_clip_torch",
    "Pillow",
    "safetensors",
    "transformers",
)


@contextmanager
def packages() -> Iterator[None]:
    """Around what imports them; raises ImportError with the command that installs what lacks."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"a Python package cannot be imported ({str(error).rstrip('.')}); run: "
            f"{install_command()} and start again; if pip finds all of it there, the package is "
            "damaged or too old, see docs/troubleshooting.md.",
            name=error.name,
        ) from error


def install_command() -> str:
    """The command that installs the requirements, by the Python that runs now."""
    file = Path(__file__).parents[1] / "requirements.txt"
    what = f"-r {_quoted(str(file))}" if file.is_file() else " ".join(PACKAGES)
    return f"{_quoted(sys.executable)} -m pip install {what}"


def _quoted(path: str) -> str:
    return f'"{path}"' if " " in path else path
