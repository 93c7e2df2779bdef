"""Save Attribute and Load Attribute: attributes as small files, to keep and to exchange."""

from __future__ import annotations

from ...tokenopt_core.tokens.attributes import Attribute
from ...tokenopt_core.tokens.files import load_attribute, save_attribute
from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.files import file_facts, new_output_file, saved_file, saved_files
from ..host.models import gradient_scope
from ..host.sockets import AttributeSocket, LoadedTokenizer
from .report import notes

SUFFIX = ".attribute.safetensors"


class SaveAttribute(io.ComfyNode):
    """A small safetensors file in ComfyUI's output folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_SaveAttribute",
            display_name="Save Attribute",
            category=f"{CATEGORY}/attributes",
            description="Saves an attribute as a small file in ComfyUI's output folder, for Load "
            "Attribute.",
            search_aliases=["direction", "vector", "safetensors"],
            is_output_node=True,
            inputs=[
                AttributeSocket.Input(
                    "attribute", tooltip="The attribute to save, from Attribute Vector."
                ),
                widgets.filename("attributes/attribute", "file name"),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, attribute: Attribute, filename_prefix: str) -> io.NodeOutput:
        path, file = new_output_file(filename_prefix, SUFFIX)
        save_attribute(path, attribute)
        place = "/".join(part for part in (file["subfolder"], file["filename"]) if part)
        return io.NodeOutput(ui={"tokenopt_notes": [f"saved as {place} [output]"]})


class LoadAttribute(io.ComfyNode):
    """An attribute from ComfyUI's output or input folder."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadAttribute",
            display_name="Load Attribute",
            category=f"{CATEGORY}/attributes",
            description="Loads an attribute that Save Attribute wrote, here or on another machine.",
            search_aliases=["direction", "vector", "safetensors"],
            has_intermediate_output=True,
            inputs=[
                widgets.tokenizer(
                    "From Load TiTok; must be the tokenizer that the attribute was made with."
                ),
                widgets.files(
                    "file",
                    list(saved_files(SUFFIX)),
                    f"A *{SUFFIX} file in ComfyUI's output folder (marked [output]) or its "
                    "input folder, where files from other people go. Press R to refresh the list.",
                ),
            ],
            outputs=[
                AttributeSocket.Output(
                    display_name="attribute", tooltip="The loaded attribute, for Apply Attribute."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, file: str | None, **_) -> str | float:
        """A file that was replaced is another input."""
        return file_facts(file, SUFFIX)

    @classmethod
    def execute(cls, tokenizer: LoadedTokenizer, file: str) -> io.NodeOutput:
        path = saved_file(file, SUFFIX, "an attribute")
        with gradient_scope(tokenizer):
            attribute = load_attribute(path, tokenizer.module, tokenizer.name)
        return io.NodeOutput(attribute, ui={"tokenopt_notes": notes(attribute)})
