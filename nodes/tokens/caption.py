"""Caption: what an image shows, for the tokenizers that decode with it (arXiv 2501.07730)."""

from __future__ import annotations

from ..host.compat import CATEGORY, io, schema
from ..host.sockets import CaptionEncoderSocket, CaptionSocket, LoadedCaptionEncoder
from ..loaders.captions import read_caption


class ReadCaption(io.ComfyNode):
    """A text as the features of its words."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Caption",
            display_name="Caption",
            category=f"{CATEGORY}/tokens",
            description="Encodes a caption for the text-aware tokenizers (tatitok-...), whose "
            "decoder reads what the image shows beside its tokens.",
            search_aliases=["text encode", "describe", "ta-titok", "conditioning"],
            has_intermediate_output=True,
            inputs=[
                CaptionEncoderSocket.Input(
                    "caption_encoder",
                    tooltip="The model that reads the text, from Load Caption Encoder.",
                ),
                io.String.Input(
                    "text",
                    multiline=True,
                    default="",
                    tooltip="What the image shows, in a sentence; for an edit, what the result "
                    "shows. One caption for all images of a batch. Empty: the empty caption.",
                ),
            ],
            outputs=[
                CaptionSocket.Output(
                    display_name="caption",
                    tooltip="The caption, for TiTok Decode, Token Optimizer and all other nodes "
                    "that decode.",
                )
            ],
        )

    @classmethod
    def execute(cls, caption_encoder: LoadedCaptionEncoder, text: str) -> io.NodeOutput:
        text = " ".join(text.split())
        notes = caption_encoder.module.remarks([text])
        return io.NodeOutput(read_caption(caption_encoder, text), ui={"tokenopt_notes": notes})
