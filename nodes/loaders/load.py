"""Load TiTok, Load CLIP Guide and Load Caption Encoder."""

from __future__ import annotations

from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.sockets import CaptionEncoderSocket, GuideSocket, TokenizerSocket
from .menu import (
    CAPTION_ENCODERS,
    GUIDES,
    TOKENIZERS,
    caption_encoder_named,
    fingerprint,
    guide_named,
    tokenizer_named,
)

ACTIVATIONS = {"as trained": None, "gelu": False, "quick gelu": True}


class LoadTokenizer(io.ComfyNode):
    """A TiTok, TA-TiTok or MaskGIT-VQGAN image tokenizer."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadTokenizer",
            display_name="Load TiTok",
            category=f"{CATEGORY}/loaders",
            description="Loads an image tokenizer: a model that encodes an image as a few tokens "
            "and decodes tokens into an image.",
            search_aliases=["load model", "checkpoint", "image tokenizer", "maskgit", "vae"],
            inputs=[
                widgets.files(
                    "tokenizer",
                    TOKENIZERS.choices(),
                    default="demo",
                    tooltip="Which tokenizer. 'demo' is included in this pack (64x64 scenes of "
                    "simple shapes). A released model (256x256 photographs, 0.2-2.6 GB) is "
                    "downloaded into models/titok the first time it runs. Your own weights in "
                    "models/titok, a .safetensors file or a folder with config.json, are listed "
                    "too. Fewer tokens (32): stronger edits, less detail; more tokens: the "
                    "reverse.",
                ),
                download_input(),
            ],
            outputs=[
                TokenizerSocket.Output(
                    display_name="tokenizer",
                    tooltip="The loaded tokenizer, for all nodes that encode, decode or "
                    "change tokens.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, tokenizer: str, download: bool = True) -> str:
        return fingerprint(TOKENIZERS.place(tokenizer))

    @classmethod
    def execute(cls, tokenizer: str, download: bool = True) -> io.NodeOutput:
        return io.NodeOutput(tokenizer_named(tokenizer, download))


class LoadGuide(io.ComfyNode):
    """A CLIP or SigLIP model that tells how well images match a text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadGuide",
            display_name="Load CLIP Guide",
            category=f"{CATEGORY}/loaders",
            description="Loads the CLIP or SigLIP model that compares images with text and guides "
            "the edit.",
            search_aliases=["siglip", "open_clip", "load model", "text encoder"],
            inputs=[
                widgets.files(
                    "model",
                    GUIDES.choices(),
                    default="demo",
                    tooltip="Which model. 'demo' is included in this pack and knows only the demo "
                    "scenes. A released model (0.6-1.7 GB) is downloaded into models/titok_guides "
                    "the first time it runs; ViT-B-32 is the paper's choice. Larger ones are "
                    "slower and capture finer detail. Folders in open_clip layout in "
                    "models/titok_guides are listed too.",
                ),
                download_input(),
            ],
            outputs=[
                GuideSocket.Output(
                    display_name="guide",
                    tooltip="The loaded model, for CLIP Loss, Judge and all other nodes that use "
                    "a guide.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str, download: bool = True) -> str:
        return fingerprint(GUIDES.place(model))

    @classmethod
    def execute(cls, model: str, download: bool = True) -> io.NodeOutput:
        return io.NodeOutput(guide_named(model, download))


class LoadCaptionEncoder(io.ComfyNode):
    """The text half of a CLIP model, whose words' features TA-TiTok decodes with."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_LoadCaptionEncoder",
            display_name="Load Caption Encoder",
            category=f"{CATEGORY}/loaders",
            description="Loads the text encoder that reads captions for the text-aware tokenizers "
            "(tatitok-...).",
            search_aliases=["load model", "clip text encoder", "ta-titok", "open_clip"],
            inputs=[
                widgets.files(
                    "model",
                    CAPTION_ENCODERS.choices(),
                    default=CAPTION_ENCODERS.known[0],
                    tooltip="Which model. The released one (1.7 GB), with which all released "
                    "text-aware tokenizers were trained, is downloaded into models/titok_guides "
                    "the first time it runs; only its text half (0.5 GB) is kept in memory. "
                    "Folders in open_clip layout in models/titok_guides are listed too.",
                ),
                download_input(),
                advanced(
                    io.Combo.Input(
                        "activation",
                        options=list(ACTIVATIONS),
                        default="as trained",
                        optional=True,
                        tooltip="The function between the layers. as trained: what the model's "
                        "configuration says. gelu or quick gelu: that one; try it if images of "
                        "a tatitok-... model come out worse than expected.",
                    )
                ),
            ],
            outputs=[
                CaptionEncoderSocket.Output(
                    display_name="caption encoder",
                    tooltip="The loaded model, for Caption.",
                )
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, model: str, **_) -> str:
        return fingerprint(CAPTION_ENCODERS.place(model))

    @classmethod
    def execute(
        cls, model: str, download: bool = True, activation: str = "as trained"
    ) -> io.NodeOutput:
        return io.NodeOutput(caption_encoder_named(model, download, ACTIVATIONS[activation]))


def download_input() -> io.Input:
    """The last input of a node that loads; optional, because earlier workflows lack it."""
    return io.Boolean.Input(
        "download",
        default=True,
        optional=True,
        tooltip="What to do if a released model is missing. On: this run downloads it, with a "
        "progress bar in the node; after a cancel the next run resumes. Off: the run stops and "
        "reports which file is missing, where it is published and in which folder to put it.",
    )
