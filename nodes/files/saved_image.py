"""Tokens of a Saved Image: the codes that a PNG of Save Image with Record carries."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from ..host import widgets
from ..host.compat import CATEGORY, folder_paths, io, schema
from ..host.files import file_facts, saved_file
from ..host.sockets import LoadedTokenizer
from .save_image import CODES_CHUNK
from .text import tokens_of

SUFFIX = ".png"
KIND = "an image"


class SavedImageTokens(io.ComfyNode):
    """What was behind a saved image, without encoding it again."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_SavedImageTokens",
            display_name="Tokens of a Saved Image",
            category=f"{CATEGORY}/text and files",
            description="Reads the codes that Save Image with Record stored in a PNG file: the "
            "exact tokens behind that image, which encoding it again would not give.",
            search_aliases=["png metadata", "reload", "codes"],
            inputs=[
                widgets.tokenizer("The tokenizer that the image was made with, from Load TiTok."),
                widgets.files(
                    "image",
                    _uploaded(),
                    "A PNG that Save Image with Record wrote: drop it onto the node.",
                    upload=io.UploadType.image,
                ),
            ],
            outputs=[
                widgets.tokens_output(
                    "The tokens of the image, quantized; decode them to see it again."
                ),
                widgets.text_output("text", "The codes, as Tokens to Text writes them."),
            ],
        )

    @classmethod
    def validate_inputs(cls, image: str) -> bool:
        return True  # files of the output folder are not in the menu; `execute` looks for them

    @classmethod
    def fingerprint_inputs(cls, image: str | None, **_) -> str | float:
        return file_facts(image, SUFFIX)

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, image: str) -> io.NodeOutput:
        text = read_codes(saved_file(image, SUFFIX, KIND, "image"))
        return io.NodeOutput(tokens_of(tokenizer, text), text)


def read_codes(path: Path) -> str:
    """The codes in a PNG file, as text; raises ValueError if it has none."""
    try:
        with Image.open(path) as opened:
            text = opened.info.get(CODES_CHUNK)
    except MemoryError:
        raise
    except Exception as error:  # a damaged file stops Pillow in many ways
        raise ValueError(f"image {path.name!r} is damaged or no PNG; choose another.") from error
    if not isinstance(text, str):
        raise ValueError(
            f"image {path.name!r} carries no codes: only PNG files of Save Image with Record do, "
            "as long as no other program has rewritten them; use TiTok Encode instead."
        )
    return text


def _uploaded() -> list[str]:
    """PNG files in the input folder, as in ComfyUI's own Load Image."""
    folder = Path(folder_paths.get_input_directory())
    return sorted(path.name for path in folder.glob(f"*{SUFFIX}") if path.is_file())
