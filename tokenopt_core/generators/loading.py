"""Loading of generators: by name, from a folder in hub layout, or from a weights file.

As with tokenizers the network is built without memory and takes over copies of the file's tensors.
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
from .base import Generator
from .imagebert import ImageBert
from .reading import config_of, make_spec
from .registry import DEMO, DEMO_GENERATOR, RELEASES, Release, known_generators
from .spec import GeneratorSpec
from .uvitbert import UViTBert

NETWORKS = {"imagebert": ImageBert, "uvitbert": UViTBert}
NOT_WEIGHTS = "model.embeddings.position_ids"  # a table of 0, 1, 2, .. in some older files


def load_generator(
    source: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    models_dir: str | Path | None = None,
    progress: Progress | None = None,
    download: bool = True,
) -> Generator:
    """A frozen generator in evaluation mode.

    Args:
        source: a name from `known_generators()`, a folder with config.json and model.safetensors,
            that config.json, or a weights file (a config.json beside it is not needed).
        dtype: of the network; logits are float32.
        models_dir: where released weights are looked for, and downloaded to if they are missing;
            None means the hub's cache. It has one folder per name, and those of tokenizers are the
            same: keep both apart.
        progress: called with the bytes done and in all during a download into `models_dir`; what it
            raises cancels. The hub's cache is filled by the hub's client, with its own bar.
        download: False raises DownloadError in place of a download.

    Raises:
        TypeError: `source` is neither text nor a path.
        ValueError: unknown name, or a file that is not a complete generator.
        FileNotFoundError: a folder without weights.
        DownloadError: the weights are missing and could not be downloaded.
    """
    check_dtype(dtype)
    with torch.inference_mode(False), torch.no_grad(), needs_packages():
        name, path, config = _resolve(source, models_dir, progress, download)
        weights = read_weights(path)
        weights.pop(NOT_WEIGHTS, None)
        spec = _make_spec(name, path, weights, config)
        with torch.device("meta"):
            generator = build_generator(spec)
        fill(generator, path, weights, "generator", device, lambda key: dtype)
        return generator


def save_generator(
    generator: Generator, folder: str | Path, dtype: torch.dtype = torch.float32
) -> None:
    """Write config.json and model.safetensors, from which `load_generator` makes an equal one."""
    from safetensors.torch import save_file

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        key: tensor.detach().to("cpu", dtype).contiguous()
        for key, tensor in generator.state_dict().items()
    }
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    config = json.dumps(config_of(generator.spec), indent=2)
    (folder / CONFIG).write_text(config + "\n", encoding="utf-8")


def build_generator(spec: GeneratorSpec) -> Generator:
    """A new generator with random weights, to train or to fill."""
    return NETWORKS[spec.kind](spec)


def _resolve(
    source: str | Path, models_dir: str | Path | None, progress: Progress | None, download: bool
) -> ModelFiles:
    """Name, weights file and config of a source."""
    if source == DEMO and DEMO in known_generators():
        return files_in(DEMO_GENERATOR)._replace(name=DEMO)
    if source in RELEASES:
        release = RELEASES[str(source)]
        size = partial(_size, release)
        folder = release.fetch(str(source), size, models_dir, progress, download=download)
        return ModelFiles(str(source), folder / release.weights, None)
    return local_files(source, "generator", known_generators())


def _make_spec(
    name: str, path: Path, weights: Weights, config: dict[str, Any] | None
) -> GeneratorSpec:
    """The released spec of that name, otherwise what the config and the tensors' shapes say."""
    if name in RELEASES:
        return RELEASES[name].spec
    try:
        return make_spec(name, {key: tuple(value.shape) for key, value in weights.items()}, config)
    except KeyError as error:
        raise ValueError(
            f"{path} has no tensor {error.args[0]!r}: expected the weights of an ImageBert or a "
            "UViTBert, TiTok's generators."
        ) from error
    except (TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{path} and its {CONFIG} describe no generator: {error}") from error


def _size(release: Release) -> int:
    """About the bytes of its weights, without asking for them: its tensors in float32."""
    with torch.device("meta"):
        tensors = build_generator(release.spec).state_dict().values()
    return sum(4 * tensor.numel() for tensor in tensors)
