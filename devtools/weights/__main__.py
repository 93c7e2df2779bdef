"""`python dev.py check-weights NAME`: a report about released weights, to paste into an issue.

NAME is a released tokenizer (titok-l32, tatitok-bl32-vq, ...), the caption encoder
ViT-L-14-336/openai, or the folder of a model. Nothing is downloaded; the hub is only asked for the
checksums of its files, if it can be reached. What only real weights can settle is computed from the
pictures in --images: the published results of titok-l32 from its two photographs, how closely
pictures are reconstructed, and for a text-aware tokenizer with which activation of the caption
encoder (a caption is the text in NAME.txt beside NAME.png; five or more say something).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tokenopt_core.checks import nearest
from tokenopt_core.guides.files import CAPTION_ENCODER, CONFIG, find_guide
from tokenopt_core.guides.text_encoder import ELSEWHERE, TextEncoder, load_text_encoder, size_of
from tokenopt_core.hub.sources import files_in
from tokenopt_core.tokenizers import RELEASES, build_tokenizer, find_release, load_tokenizer

from .files import file_lines, key_lines
from .pictures import compare, decibels, pictures_in, published_results, reconstruction_errors

CALLED_FROM = Path(os.environ.get("TOKENOPT_CALLED_FROM", "."))  # dev.py works in the repository
CAPTION_REPO = "timm/vit_large_patch14_clip_336.openai"
PUBLISHED_OF = "titok-l32"
ACTIVATIONS = {"GELU": False, "quick GELU": True}
SETTLED = 0.05  # how likely chance may be where an activation is called the one


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python dev.py check-weights",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--models", type=_path, help="has a folder of each model (not: hub's cache)"
    )
    parser.add_argument("--images", type=_path, help="folder with pictures and captions")
    parser.add_argument("--encoder", type=_path, help="folder of the caption encoder, as --models")
    options = parser.parse_args(arguments)
    try:
        for line in report(options.name, options.models, options.images, options.encoder):
            print(line, flush=True)
    except (ValueError, OSError) as error:
        print(f"\ncheck-weights: {error}")
        return 1
    return 0


def report(
    name: str, models: Path | None = None, images: Path | None = None, encoder: Path | None = None
) -> Iterator[str]:
    """The lines of the report, as they become known; see the module for the arguments."""
    known = name in RELEASES or name == CAPTION_ENCODER
    folder = None if known else _path(name)
    if folder and not folder.is_dir():
        raise ValueError(
            f"NAME is {name!r}, expected a released tokenizer (like {nearest(name, [*RELEASES])}), "
            f"{CAPTION_ENCODER}, or the folder of a model."
        )
    yield f"## Weights of {folder.name if folder else name}\n"
    yield f"torch {torch.__version__}, Python {platform.python_version()}, on the CPU\n"
    if name == CAPTION_ENCODER or (folder and (folder / CONFIG).is_file()):
        yield from _encoder_lines(folder or name, models)
    else:
        yield from _tokenizer_lines(name, folder, models, images, encoder)


def _path(text: str) -> Path:
    return CALLED_FROM / text


def _encoder_lines(source: str | Path, models: Path | None) -> Iterator[str]:
    files = find_guide(source, models, download=False, towers=("text_cfg",))
    repo = CAPTION_REPO if source == CAPTION_ENCODER else None
    yield from file_lines([files.weights], repo)
    with torch.device("meta"):
        expected = TextEncoder(str(source), size_of(files)).state_dict()
    yield "\n### Tensors\n"
    yield from key_lines(files.weights, expected, ELSEWHERE)
    yield "\nIts activation: check a text-aware tokenizer with --images."


def _tokenizer_lines(
    name: str,
    folder: Path | None,
    models: Path | None,
    images: Path | None,
    encoder: Path | None,
) -> Iterator[str]:
    release = RELEASES.get(name) if folder is None else None
    if release:
        folder = find_release(release, models)
        if folder is None:
            raise ValueError(f"{name} is not in {models or 'the cache of the hub'}: get it first.")
    path = folder / release.weights if release else files_in(folder).weights
    beside = [file for file in sorted(folder.glob("*.json")) if file.is_file()]
    yield from file_lines([*beside, path], release and release.repo)
    yield "\n### Tensors\n"
    tokenizer = None if release else load_tokenizer(folder)
    spec = release.spec if release else tokenizer.spec
    with torch.device("meta"):
        expected = build_tokenizer(spec).state_dict()
    yield from key_lines(path, expected)
    yield "\n### Pictures\n"
    if images is None:
        yield "None were given (--images)."
        return
    tokenizer = tokenizer or load_tokenizer(name, models_dir=models, download=False)
    if name == PUBLISHED_OF:
        yield from map(str, published_results(tokenizer, images))
    pictures = pictures_in(images)
    if spec.text_length is None:
        errors = reconstruction_errors(tokenizer, pictures)
        yield f"- {len(pictures)} pictures reconstructed with {decibels(errors):.2f} dB on average"
        return
    pictures = [(path, caption) for path, caption in pictures if caption]
    if not pictures:
        raise ValueError(f"{images} has no captions: put NAME.txt beside each NAME.png.")
    tower, errors = load_text_encoder(encoder or CAPTION_ENCODER, download=False), {}
    for activation, tower.quick_gelu in ACTIVATIONS.items():
        errors[activation] = reconstruction_errors(tokenizer, pictures, tower)
        mean = decibels(errors[activation])
        yield f"- {len(pictures)} captioned pictures with {activation}: {mean:.3f} dB on average"
    yield f"- {_verdict(errors)}"


def _verdict(errors: dict[str, list[float]]) -> str:
    """Which activation reconstructs more closely, if that is beyond chance."""
    (first, one), (second, other) = errors.items()
    wins, chance = compare(one, other)
    best, count = (first, wins) if 2 * wins >= len(one) else (second, len(one) - wins)
    told = f"{best} is closer in {count} of {len(one)} (by chance: {chance:.2g})"
    if chance < SETTLED:
        return f"{told}: this tokenizer was trained with {best}"
    return f"{told}: not settled, more pictures are needed"


if __name__ == "__main__":
    sys.exit(main())
