"""Save Tokens and Load Tokens: small safetensors files in ComfyUI's own folders."""

from __future__ import annotations

from pathlib import Path

import torch

from ...tokenopt_core.tokens.files import SUFFIX, load_tokens, save_tokens
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.files import file_facts, new_output_file, saved_file, saved_files
from ..host.models import gradient_scope
from ..host.sockets import LoadedTokenizer, Tokens

KIND = "tokens"


class SaveTokens(io.ComfyNode):
    """Tokens of a whole batch in one file of the output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_SaveTokens",
            display_name="Save Tokens",
            category=f"{CATEGORY}/text and files",
            description="Saves tokens exactly, as a small file, for Load Tokens.",
            search_aliases=["codes", "safetensors", "save latent"],
            is_output_node=True,
            inputs=[
                widgets.tokenizer(widgets.ITS_TOKENIZER),
                widgets.tokens("The tokens to save; a batch is saved as one file."),
                widgets.filename("tokens/image", "file name"),
            ],
            outputs=[],
        )

    @classmethod
    def execute(
        cls, tokenizer: LoadedTokenizer, tokens: Tokens, filename_prefix: str
    ) -> io.NodeOutput:
        size = tokenizer.spec.image_size
        path, place = new_output_file(filename_prefix, SUFFIX, (size, size))
        with gradient_scope(tokenizer), torch.no_grad():
            save_tokens(path, tokenizer.module, tokens.values, tokens.quantized, tokenizer.name)
        note = f"saved {Path(place['subfolder'], path.name).as_posix()} in the output folder"
        return io.NodeOutput(ui={"tokenopt_notes": [note]})


class LoadTokens(io.ComfyNode):
    """Tokens of a file in the input or output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadTokens",
            display_name="Load Tokens",
            category=f"{CATEGORY}/text and files",
            description="Loads tokens saved by Save Tokens.",
            search_aliases=["codes", "safetensors", "load latent"],
            inputs=[
                widgets.tokenizer("The tokenizer that made the tokens, from Load TiTok."),
                widgets.files(
                    "file",
                    list(saved_files(SUFFIX)),
                    "A .tokens.safetensors file in ComfyUI's input folder or, marked [output], in "
                    "its output folder. Press R to refresh the list.",
                ),
            ],
            outputs=[widgets.tokens_output("The tokens exactly as they were saved.")],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str | None, **_) -> str | float:
        return file_facts(file, SUFFIX)

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, file: str) -> io.NodeOutput:
        path = saved_file(file, SUFFIX, KIND)
        with gradient_scope(tokenizer), torch.no_grad():
            values, quantized = load_tokens(path, tokenizer.module, tokenizer.name)
            return io.NodeOutput(Tokens(values, quantized, tokenizer.name))
