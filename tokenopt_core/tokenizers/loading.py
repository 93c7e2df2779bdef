"""Loading of tokenizers: by name, from a folder in hub layout, or from a weights file.

The network is built without memory (on the meta device) and takes over copies of the file's
tensors: the file may change or go away while the tokenizer is in use.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..checks import check_dtype, nearest, needs_packages, shortened
from ..files.small import read_json
from ..files.weights import SUFFIXES, Weights, check_finite, check_weights, read_weights
from ..hub import HubFile, Progress, fetch_files
from .base import Tokenizer
from .config import config_of, make_spec
from .registry import DEMO, DEMO_TOKENIZER, RELEASES, Release, known_tokenizers
from .spec import TokenizerSpec
from .titok import TiTok
from .vqgan import MaskGitVqgan

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
LONGEST_SOURCE = 100  # characters in a message


def load_tokenizer(
    source: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
) -> Tokenizer:
    """A frozen tokenizer in evaluation mode.

    Args:
        source: a name from `known_tokenizers()`, a folder with config.json and model.safetensors,
            that config.json, or a weights file (a config.json beside it is not needed).
        dtype: of the networks; the codebook and all inputs and outputs are float32.
        models_dir: where released weights are looked for, and downloaded to if they are missing;
            None means the hub's cache.
        progress: called with the bytes done and in all during a download into `models_dir`; what it
            raises cancels. The hub's cache is filled by the hub's client, with its own bar.
        download: False raises DownloadError in place of a download.

    Raises:
        TypeError: `source` is neither text nor a path.
        ValueError: unknown name, or a file that is not a complete tokenizer.
        FileNotFoundError: a folder without weights.
        DownloadError: the weights are missing and could not be downloaded.
    """
    check_dtype(dtype)
    # Weights that are created under inference mode could never take part in a backward pass.
    with torch.inference_mode(False), torch.no_grad(), needs_packages():
        name, path, config = _resolve(source, models_dir, progress, download)
        weights = read_weights(path)
        spec = _make_spec(name, path, weights, config)
        with torch.device("meta"):
            tokenizer = build_tokenizer(spec)
        check_weights(path, weights, tokenizer.state_dict())
        tokenizer.load_state_dict(_copies(path, weights, device, dtype), strict=True, assign=True)
        return tokenizer.requires_grad_(False).eval()


def save_tokenizer(
    tokenizer: Tokenizer, folder: str | Path, dtype: torch.dtype = torch.float32
) -> None:
    """Write config.json and model.safetensors, from which `load_tokenizer` makes an equal one.

    The networks are stored in `dtype` and the codebook in float32.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        key: tensor.detach().to("cpu", _dtype_of(key, dtype)).contiguous()
        for key, tensor in tokenizer.state_dict().items()
    }
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    config = json.dumps(config_of(tokenizer.spec), indent=2)
    (folder / CONFIG).write_text(config + "\n", encoding="utf-8")


def build_tokenizer(spec: TokenizerSpec) -> Tokenizer:
    """A new tokenizer with random weights, to train or to fill."""
    return MaskGitVqgan(spec) if spec.layout == "maskgit-vqgan" else TiTok(spec)


def _copies(
    path: Path, weights: dict[str, Tensor], device: str | torch.device, dtype: torch.dtype
) -> dict[str, Tensor]:
    """The tensors on the device, finite and in memory of their own; `weights` is emptied on the
    way.

    What was read may be the pages of the file itself: a file that is overwritten would change the
    tokenizer, and one that is cut short would end the program.
    """
    copies = {}
    for key in list(weights):
        copies[key] = weights.pop(key).to(device, _dtype_of(key, dtype), copy=True)
        check_finite(path, key, copies[key])
    return copies


def _resolve(
    source: str | Path, models_dir: str | Path | None, progress: Progress | None, download: bool
) -> tuple[str, Path, dict[str, Any] | None]:
    """Name, weights file and config (None: not needed or not there) of a source."""
    if source == DEMO:
        return DEMO, *in_folder(DEMO_TOKENIZER)
    if source in RELEASES:
        release = RELEASES[str(source)]
        folder = fetch_release(release, models_dir, progress, download=download)
        return str(source), folder / release.weights, None
    if not isinstance(source, str | os.PathLike):
        raise TypeError(f"tokenizer is {source!r}, expected a name or a path.")
    path, kind = _path_and_kind(source)
    if kind == "folder":
        return path.name, *in_folder(path)
    if kind == "file" and path.suffix in SUFFIXES:
        own_config = path.with_name(CONFIG) if path.stem in ("model", "pytorch_model") else None
        return path.stem, path, _read_config(own_config)
    found = "a file of another kind" if kind == "file" else "not there"
    raise ValueError(
        f"tokenizer is {shortened(str(source), LONGEST_SOURCE)!r}, which is {found}: expected a "
        f"name like {nearest(str(source), known_tokenizers())} (known_tokenizers() has all), a "
        f"folder with {CONFIG} and {WEIGHTS}, or a weights file ({', '.join(SUFFIXES)})."
    )


def _path_and_kind(source: str | os.PathLike[str]) -> tuple[Path, str]:
    """The path of a source, of the folder for a config.json, and "folder", "file" or ""."""
    try:
        path = Path(source).expanduser()
        if path.name == CONFIG and path.is_file():
            path = path.absolute().parent
        # Path("") is the current folder, which nobody means.
        kind = "file" if path.is_file() else "folder" if str(source) and path.is_dir() else ""
    except (OSError, ValueError, RuntimeError):  # no name of a file: too long, NUL, unknown ~user
        return Path(), ""
    return path, kind


def in_folder(folder: Path) -> tuple[Path, dict[str, Any] | None]:
    """The weights file in a folder, by its usual name or as the only one, and the config."""
    path = folder / WEIGHTS
    if not path.is_file():
        files = folder.iterdir() if folder.is_dir() else ()
        candidates = sorted(file for file in files if file.suffix in SUFFIXES and file.is_file())
        if len(candidates) != 1:
            found = ", ".join(file.name for file in candidates) or "no weights"
            raise FileNotFoundError(f"{folder} has {found}, expected {WEIGHTS} (and {CONFIG}).")
        path = candidates[0]
    return path, _read_config(folder / CONFIG)


def _read_config(path: Path | None) -> dict[str, Any] | None:
    return None if path is None or not path.is_file() else read_json(path)


def _make_spec(
    name: str, path: Path, weights: Weights, config: dict[str, Any] | None
) -> TokenizerSpec:
    """The released spec of that name, otherwise what the config and the tensors' shapes say."""
    if name in RELEASES:
        return RELEASES[name].spec
    try:
        return make_spec(name, {key: tuple(value.shape) for key, value in weights.items()}, config)
    except KeyError as error:
        raise ValueError(
            f"{path} has no tensor {error.args[0]!r}: expected the weights of a TiTok, TA-TiTok "
            "or MaskGIT-VQGAN tokenizer."
        ) from error
    except (TypeError, IndexError) as error:  # unpacking the shape of a tensor
        raise ValueError(
            f"{path} has tensors of another number of axes than those of a tokenizer ({error}): "
            "check that it is the right file."
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} and its {CONFIG} describe no tokenizer: {error}") from error


def _dtype_of(key: str, dtype: torch.dtype) -> torch.dtype:
    """The codebook stays float32 whatever the networks are: rounding it would change codes."""
    return torch.float32 if key.startswith("quantize.") else dtype


def find_release(release: Release, models_dir: str | Path | None = None) -> Path | None:
    """The folder that has the weights of a release, or None. Never uses the network.

    Args:
        models_dir: the folder that has (or will have) one folder per tokenizer, called by its
            name; None means the hub's own cache.
    """
    folder = Path(models_dir) / release.spec.name if models_dir is not None else None
    weights = HubFile(release.repo, (release.weights,)).find(folder)
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
    files = [HubFile(release.repo, (file,)) for file in others]
    files += [HubFile(release.repo, (weights,), size=_size(release))]
    folder = Path(models_dir) / release.spec.name if models_dir is not None else None
    *_, path = fetch_files(release.spec.name, files, folder, progress, download=download)
    return path.parent


def _size(release: Release) -> int:
    """About the bytes of its weights, without asking for them: its tensors in float32."""
    with torch.device("meta"):
        tensors = build_tokenizer(release.spec).state_dict().values()
    return sum(4 * tensor.numel() for tensor in tensors)
