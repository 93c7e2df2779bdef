"""Sweep: one or two settings of a run in several values, as a labelled grid and a table."""

from __future__ import annotations

import torch

from ..tokenopt_core.config import KEEPS, REGULARIZERS
from .compat import CATEGORY, advanced, io
from .images import from_images
from .numbers import check_finite
from .options import Options, OptionsSocket
from .recipes import LossRecipe, recipe_of
from .run import make_config
from .stop import stoppable
from .sweep_plan import MOST_CELLS, NONE, make_plan
from .sweep_report import grid, live_grid, notes, table
from .sweep_run import run_plan
from .sweep_settings import SETTINGS, Job
from .tokens import SEEDS
from .types import LoadedTokenizer, LossSocket, TokenizerSocket, Tokens, TokensSocket


class Sweep(io.ComfyNode):
    """The Token Optimizer run once for each value, from the same start."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_Sweep",
            display_name="Sweep",
            category=CATEGORY,
            description="Runs the Token Optimizer with several values of one or two settings and "
            "shows the results side by side, with a table of losses.",
            inputs=[*_sockets(), *_settings(), *_base(), *_rest()],
            outputs=[
                io.Image.Output(
                    display_name="grid", tooltip="All results with their values, as one picture."
                ),
                io.Image.Output(
                    display_name="images",
                    tooltip="The results, tokenizer's size, row by row, without those not run.",
                ),
                io.String.Output(
                    display_name="table",
                    tooltip="Values, final loss, terms, steps and time of each run (Markdown).",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens: Tokens,
        loss: LossRecipe,
        setting_1: str,
        values_1: str,
        setting_2: str,
        values_2: str,
        seed: int,
        options: Options | None = None,
        **settings,
    ) -> io.NodeOutput:
        check_finite(**settings)
        tokens.check_tokenizer(tokenizer)
        config = make_config(tokenizer, options, ema=True, token_noise=True, **settings)
        base = Job(config, recipe_of(loss), seed)
        plan = make_plan(base, setting_1, values_1, setting_2, values_2)
        with stoppable() as stop:
            results = run_plan(
                plan,
                tokenizer,
                tokens,
                options,
                stop,
                draw=lambda done, images: live_grid(plan, done, images),
            )
        scores = table(plan, results)
        return io.NodeOutput(
            from_images(grid(plan, results)),
            from_images(torch.cat([result.images for result in results])),
            scores,
            ui={"tokenopt_notes": [scores, *notes(plan, results, stop.raised)]},
        )


def _sockets() -> list[io.Input]:
    return [
        TokenizerSocket.Input("tokenizer", tooltip="From Load TiTok."),
        TokensSocket.Input(
            "tokens", tooltip="Where every run starts: TiTok Encode or Random Tokens."
        ),
        LossSocket.Input("loss", tooltip="The aim, as for the Token Optimizer."),
    ]


def _settings() -> list[io.Input]:
    """The two axes of the grid."""
    values = "Its values with ; between them, or one a line"
    return [
        io.Combo.Input(
            "setting_1",
            options=list(SETTINGS),
            default="lr",
            tooltip="What changes from column to column. prompt, crops and the weights change the "
            "connected loss, all else the run.",
        ),
        io.String.Input(
            "values_1",
            multiline=True,
            default="0.05; 0.1; 0.2",
            tooltip=f"{values}. At most {MOST_CELLS} runs in all.",
        ),
        io.Combo.Input(
            "setting_2",
            options=[NONE, *SETTINGS],
            default=NONE,
            tooltip="What changes from row to row; none: one setting only.",
        ),
        io.String.Input(
            "values_2",
            multiline=True,
            default="",
            tooltip=f"{values}. Not used while setting_2 is none.",
        ),
    ]


def _base() -> list[io.Input]:
    """Everyday settings of the runs."""
    return [
        io.Int.Input(
            "steps",
            default=100,
            min=1,
            max=10000,
            tooltip="Steps of each run. Fewer than for a final result often show enough.",
        ),
        io.Float.Input(
            "lr",
            default=0.1,
            min=0.0,
            max=10.0,
            step=0.01,
            tooltip="Learning rate of each run, as in the Token Optimizer.",
        ),
        io.Int.Input(
            "seed",
            default=0,
            min=0,
            max=SEEDS - 1,
            control_after_generate=True,
            tooltip="Chooses crops and noise; the same for every run, so that only the swept "
            "settings differ.",
        ),
    ]


def _rest() -> list[io.Input]:
    more = [
        io.Boolean.Input(
            "quantize", default=True, tooltip="Decode only tokens of the codebook, in each run."
        ),
        io.Float.Input(
            "ema_decay",
            default=0.95,
            min=0.0,
            max=0.9999,
            step=0.01,
            round=0.0001,
            tooltip="Memory of the average that each run returns. 0: no average.",
        ),
        io.Float.Input(
            "noise_scale",
            default=0.0,
            min=0.0,
            max=10.0,
            step=0.0001,
            round=0.0001,
            tooltip="Noise on the tokens at the start of each run, fading out. 0: none.",
        ),
        io.Combo.Input(
            "regularize",
            options=list(REGULARIZERS),
            default="none",
            tooltip="Pull the tokens of each run back, to their start (seed) or to zero. A swept "
            "reg_weight pulls to the start where this is none.",
        ),
        io.Float.Input(
            "reg_weight",
            default=0.02,
            min=0.0,
            max=100.0,
            step=0.001,
            round=0.0001,
            tooltip="Strength of that pull.",
        ),
        io.Int.Input(
            "reset_every",
            default=0,
            min=0,
            max=10000,
            tooltip="Every so many steps put the L1 Masked Loss's known pixels back. 0: never.",
        ),
        io.Combo.Input(
            "keep",
            options=list(KEEPS),
            default="average",
            tooltip="What each run returns: average, best or last, as in the Token Optimizer.",
        ),
    ]
    options = OptionsSocket.Input(
        "options", optional=True, tooltip="More settings, from Token Optimizer Options."
    )
    return [*map(advanced, more), options]
