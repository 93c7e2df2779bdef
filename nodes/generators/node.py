"""Generate Tokens: masked prediction of codes by class (TiTok: arXiv 2406.07550, section 3.3)."""

from __future__ import annotations

from ...tokenopt_core.generators.config import LARGEST, MOST_STEPS, SamplingConfig
from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.sockets import GeneratorSocket, LoadedGenerator, LoadedTokenizer, Tokens
from ..host.stop import STOPPED, stoppable
from ..tokens.batches import decoded
from .run import Generated, Request, generated


class Generate(io.ComfyNode):
    """Codes of images of a class, all of them or around those that are kept."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Generate",
            display_name="Generate Tokens",
            category=f"{CATEGORY}/generators",
            description="Generates images of a class in a few steps, without any optimization. "
            "Tokens of an image can be kept: the rest is generated around them.",
            search_aliases=["class to image", "imagenet", "sampler", "maskgit", "variations"],
            has_intermediate_output=True,
            inputs=[
                GeneratorSocket.Input("generator", tooltip="The generator, from Load Generator."),
                widgets.tokenizer(
                    "The tokenizer that the generator was trained with, from Load TiTok: the one "
                    "of the same name."
                ),
                io.String.Input(
                    "labels",
                    multiline=True,
                    default="",
                    placeholder="golden retriever\n207\nany",
                    tooltip="Which classes, by name or number, one a line: golden retriever, or "
                    "207. For the released models they are ImageNet's. Empty, or any: whatever "
                    "the generator comes up with.",
                ),
                widgets.batch_size(
                    "Number of images of each class in labels. More: all are generated together, "
                    "which takes memory."
                ),
                widgets.seed(
                    "Seed for the random numbers: the same seed gives the same image, alone or in "
                    "a batch. Image k of a batch uses seed + k.",
                    control_after_generate=True,
                ),
                *_sampling(),
                *_kept(),
                io.Int.Input(
                    "preview_every",
                    default=2,
                    min=0,
                    max=1000,
                    tooltip="Show the image in the node every this many steps. More: fewer "
                    "previews, faster. 0: only the progress bar.",
                ),
            ],
            outputs=[
                widgets.tokens_output(
                    "The generated tokens, quantized: to edit, to copy from, or to optimize on."
                ),
                widgets.image_output("The decoded images, at the tokenizer's size."),
                widgets.text_output(
                    "codes",
                    "The codes as integers, separated by spaces, one image per line.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        generator: LoadedGenerator,
        tokenizer: LoadedTokenizer,
        labels: str,
        batch_size: int,
        seed: int,
        steps: int,
        guidance_scale: float,
        temperature: float,
        keep_positions: str,
        preview_every: int,
        keep_tokens: Tokens | None = None,
    ) -> io.NodeOutput:
        config = SamplingConfig(
            steps=steps or None,
            guidance_scale=_own_below_0(guidance_scale),
            temperature=_own_below_0(temperature),
        )
        request = Request(
            generator, tokenizer, labels, batch_size, seed, config, keep_tokens, keep_positions
        )
        with stoppable() as stop:
            made = generated(request, preview_every, stop)
        codes = "\n".join(" ".join(map(str, row)) for row in made.codes.tolist())
        image = decoded(tokenizer, made.tokens)
        return io.NodeOutput(made.tokens, image, codes, ui={"tokenopt_notes": _notes(made)})


def _sampling() -> list[io.Input]:
    return [
        io.Int.Input(
            "steps",
            default=0,
            min=0,
            max=MOST_STEPS,
            tooltip="Steps; each fixes some of the tokens. More: slower, not always better. 0: "
            "the model's own (8 for L-32 and B-64, 64 for S-128).",
        ),
        io.Float.Input(
            "guidance_scale",
            default=-1.0,
            min=-1.0,
            max=LARGEST,
            step=0.1,
            tooltip="How strongly the class counts. More: clearer members of the class, less "
            "variety. -1: the model's own (3.0 to 6.9 for the released ones). It has no effect "
            "on images of any class.",
        ),
        advanced(
            io.Float.Input(
                "temperature",
                default=-1.0,
                min=-1.0,
                max=LARGEST,
                step=0.1,
                tooltip="How much chance decides at the first step; it falls to nothing at the "
                "last. More: more variety, less plausible images. 0: always the likeliest codes, "
                "whatever the seed. -1: the model's own (2.8 to 11.0 for the released ones).",
            )
        ),
    ]


def _kept() -> list[io.Input]:
    return [
        widgets.tokens(
            "Tokens of an image that should partly stay: one for all images, or one for each. "
            "The generator sees their nearest codes at every step and fits the rest to them.",
            name="keep_tokens",
            optional=True,
        ),
        widgets.positions(
            "0-7",
            "Which of keep_tokens stay, counted from 0: numbers and ranges (both ends included), "
            "separated by commas. More: closer to that image. Not used without keep_tokens.",
            name="keep_positions",
        ),
    ]


def _own_below_0(value: float) -> float | None:
    """None, the model's own value, for a negative one."""
    return None if value < 0 else value


def _notes(made: Generated) -> list[str]:
    """Sentences to show in the node."""
    lines = list(made.remarks)
    if made.stopped_by_user and made.steps < made.steps_planned:
        lines.append(
            f"{STOPPED} after step {made.steps} of {made.steps_planned}; the tokens that were not "
            "yet fixed are guesses"
        )
    return lines
