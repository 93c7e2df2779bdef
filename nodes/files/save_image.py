"""Save Image with Record: a PNG with settings, curves and codes of its run."""

from __future__ import annotations

import json
import os
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ...tokenopt_core.checks import shortened
from ...tokenopt_core.files.small import write_whole
from ..host import widgets
from ..host.compat import CATEGORY, io, metadata_wanted, model_management, schema
from ..host.files import output_place
from ..host.images import to_images, to_pil
from ..host.sockets import LoadedTokenizer, Tokens
from .text import text_of

CHUNK = "tokenopt"
CODES_CHUNK = "tokenopt_codes"  # what Text to Tokens reads
CODES = "codes_text"  # of a record: one line per image
_KEY = re.compile("[ -~]{1,79}")  # what a PNG file may call a text; a client can post others
PER_IMAGE = ("seeds", "stopped", "best_loss", "codes_before", "codes_after", "changed_positions")
CURVES = ("loss", "penalty")  # [step][image]


class SaveImage(io.ComfyNode):
    """Images in ComfyUI's output folder, with the optimizer's record beside prompt and workflow."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_SaveImage",
            display_name="Save Image with Record",
            category=f"{CATEGORY}/image",
            description="Saves images as PNG files that contain the optimizer's record (seeds, "
            "settings, loss curves, timings, versions) and the image's codes as text, in addition "
            "to ComfyUI's own prompt and workflow.",
            search_aliases=["save png", "metadata", "export"],
            is_output_node=True,
            inputs=[
                widgets.image("The images to save, one file per image.", name="images"),
                io.String.Input(
                    "record",
                    force_input=True,
                    optional=True,
                    tooltip="The record output of Token Optimizer, which has the codes too; any "
                    "JSON object will do.",
                ),
                widgets.filename("tokenopt/edit", "file names"),
                widgets.tokens(
                    "The tokens that the images were decoded from, to store their codes in the "
                    "files; needs tokenizer. Replaces the codes in record.",
                    optional=True,
                ),
                widgets.tokenizer(widgets.ITS_TOKENIZER, optional=True),
            ],
            outputs=[],
        )

    @classmethod
    def execute(
        cls,
        images: torch.Tensor,
        filename_prefix: str,
        record: str | None = None,
        tokens: Tokens | None = None,
        tokenizer: LoadedTokenizer | None = None,
    ) -> io.NodeOutput:
        pixels = to_images(images, "images")
        details = {} if record is None else read_record(record)
        if tokens is not None:
            details[CODES] = _lines(tokens, tokenizer, len(pixels))
        lines = _per_image(details.pop(CODES, None), len(pixels))
        height, width = pixels.shape[2:]
        folder, name, counter, subfolder = output_place(filename_prefix, (width, height))
        saved = []
        for i, image in enumerate(pixels):
            file = _free(folder, name.replace("%batch_num%", str(i)), counter + i)
            model_management.throw_exception_if_processing_interrupted()
            own = {**record_of_image(details, i, len(pixels)), "image": i}
            _write(os.path.join(folder, file), to_pil(image), _chunks(cls.hidden, own, lines[i]))
            saved.append({"filename": file, "subfolder": subfolder, "type": "output"})
        return io.NodeOutput(ui={"images": saved})


def read_record(record: str) -> dict[str, Any]:
    """The record as a dictionary; raises ValueError if it is none."""
    try:
        details = json.loads(record)
    except (ValueError, RecursionError):
        details = None
    if not isinstance(details, dict):
        raise ValueError(
            f"record is {shortened(record)!r}, expected a JSON object; connect the record output "
            "of a Token Optimizer."
        )
    return details


def _lines(tokens: Tokens, tokenizer: LoadedTokenizer | None, count: int) -> list[str]:
    """The codes of each image as text."""
    if tokenizer is None:
        raise ValueError(
            "tokens is connected, but tokenizer is not, which is needed to write their codes; "
            "connect Load TiTok to it."
        )
    if len(tokens) != count:
        raise ValueError(
            f"tokens has {len(tokens)} images and images {count}; expected the tokens that the "
            "images were decoded from."
        )
    return text_of(tokenizer, tokens).splitlines()


def _per_image(lines: Any, count: int) -> list[str | None]:
    """The lines of a record, if they are of these images."""
    fit = isinstance(lines, list) and len(lines) == count
    return [line if isinstance(line, str) else None for line in lines] if fit else [None] * count


def _free(folder: str, name: str, counter: int) -> str:
    """The name of a file that is not there yet; with %batch_num% ComfyUI's counter stands still."""
    while os.path.exists(os.path.join(folder, f"{name}_{counter:05}_.png")):
        counter += 1
    return f"{name}_{counter:05}_.png"


def record_of_image(record: dict[str, Any], index: int, count: int) -> dict[str, Any]:
    """The record of a run of `count` images, for one of them alone; of another run as it is."""
    seeds = record.get("seeds")
    if not isinstance(seeds, list) or len(seeds) != count:
        return record
    own = dict(record)
    for name in PER_IMAGE:
        if isinstance(record.get(name), list):
            own[name] = record[name][index : index + 1]
    for name in CURVES:
        if name in record:
            own[name] = _column(record[name], index)
    if isinstance(record.get("terms"), dict):
        own["terms"] = {k: _column(curve, index) for k, curve in record["terms"].items()}
    return own


def _column(curve: Any, index: int) -> Any:
    """One image's part of a curve [step][image]; what is no curve as it is."""
    if not isinstance(curve, list) or not all(isinstance(row, list) for row in curve):
        return curve
    return [row[index : index + 1] for row in curve]


def _chunks(hidden: Any, record: dict[str, Any], codes: str | None) -> dict[str, str]:
    """Texts of one file, by name: ComfyUI's own, the record, and the codes of the image."""
    if not metadata_wanted():
        return {}
    values = {"prompt": hidden.prompt} if hidden.prompt else {}
    extra = hidden.extra_pnginfo if isinstance(hidden.extra_pnginfo, dict) else {}
    values |= {name: value for name, value in extra.items() if _KEY.fullmatch(name)}
    values[CHUNK] = record
    texts = {name: json.dumps(value) for name, value in values.items()}
    return texts if codes is None else {**texts, CODES_CHUNK: codes}


def _write(path: str, image: Image.Image, chunks: dict[str, str]) -> None:
    texts = PngInfo()
    for name, value in chunks.items():
        texts.add_text(name, value)
    content = BytesIO()
    image.save(content, "PNG", pnginfo=texts, compress_level=4)
    write_whole(Path(path), content.getvalue())
