"""Loading of tokenizers: by name, from a folder in hub layout, or from a weights file.

The network is built without memory (on the meta device) and takes over copies of the file's
tensors: the file may change or go away while the tokenizer is in use.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..checks import check_dtype, needs_packages
from ..files.weights import Weights, fill, read_weights
from ..hub import Progress
from ..hub.sources import CONFIG, WEIGHTS, ModelFiles, files_in, local_files
from .base import Tokenizer
from .config import config_of, make_spec
from .registry import DEMO, DEMO_TOKENIZER, RELEASES, Release, known_tokenizers
from .spec import TokenizerSpec
from .titok import TiTok
from .vqgan import MaskGitVqgan


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
        fill(tokenizer, path, weights, "tokenizer", device, partial(_dtype_of, dtype=dtype))
        return tokenizer


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


def _resolve(
    source: str | Path, models_dir: str | Path | None, progress: Progress | None, download: bool
) -> ModelFiles:
    """Name, weights file and config of a source."""
    if source == DEMO:
        return files_in(DEMO_TOKENIZER)._replace(name=DEMO)
    if source in RELEASES:
        release = RELEASES[str(source)]
        size = partial(_size, release)
        folder = release.fetch(str(source), size, models_dir, progress, download=download)
        return ModelFiles(str(source), folder / release.weights, None)
    return local_files(source, "tokenizer", known_tokenizers())


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
    return release.find(release.spec.name, models_dir)


def _size(release: Release) -> int:
    """About the bytes of its weights, without asking for them: its tensors in float32."""
    with torch.device("meta"):
        tensors = build_tokenizer(release.spec).state_dict().values()
    return sum(4 * tensor.numel() for tensor in tensors)
