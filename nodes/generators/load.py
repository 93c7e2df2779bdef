"""Load Generator."""

from __future__ import annotations

from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.sockets import GeneratorSocket
from ..loaders.load import download_input
from ..loaders.menu import GENERATORS, fingerprint, generator_named


class LoadGenerator(io.ComfyNode):
    """A network of TiTok's authors that makes the tokens of an image of a class."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadGenerator",
            display_name="Load Generator",
            category=f"{CATEGORY}/generators",
            description="Loads a generator: a model that makes the tokens of an image of a class, "
            "for Generate Tokens.",
            search_aliases=["load model", "checkpoint", "imagebert", "maskgit", "imagenet"],
            inputs=[
                widgets.files(
                    "model",
                    GENERATORS.choices(),
                    default=GENERATORS.known[0],
                    tooltip="Which generator: the one of the tokenizer's name, because each was "
                    "trained with one tokenizer. 'demo', where it is listed, is included in this "
                    "pack. A released model (titok-l32, titok-b64, titok-s128: ImageNet's 1000 "
                    "classes, 0.7-1.2 GB) is downloaded into models/titok_generators the first "
                    "time it runs. Your own weights in models/titok_generators, a .safetensors "
                    "file or a folder with config.json, are listed too.",
                ),
                download_input(),
            ],
            outputs=[
                GeneratorSocket.Output(
                    display_name="generator", tooltip="The loaded generator, for Generate Tokens."
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str, download: bool = True) -> str:
        return fingerprint(GENERATORS.place(model))

    @classmethod
    def execute(cls, model: str, download: bool = True) -> io.NodeOutput:
        return io.NodeOutput(generator_named(model, download))
