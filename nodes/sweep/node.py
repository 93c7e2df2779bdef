"""Sweep: one or two settings of a run in several values, as a labelled grid and a table."""

from __future__ import annotations

from functools import partial

import torch

from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.images import from_images
from ..host.sockets import Caption, LoadedTokenizer, Options, Tokens
from ..host.stop import stoppable
from ..loaders.captions import captioned
from ..losses.recipe import LossRecipe, recipe_of
from ..optimize.inputs import (
    ema_decay_input,
    keep_input,
    lr_input,
    noise_scale_input,
    options_input,
    quantize_input,
    reg_weight_input,
    regularize_input,
    reset_every_input,
    run_seed_input,
    steps_input,
)
from ..optimize.run import make_config
from .plan import MOST_CELLS, NONE, make_plan
from .report import grid, live_grid, notes, table
from .run import run_plan
from .settings import SETTINGS, Job


class Sweep(io.ComfyNode):
    """The Token Optimizer run once for each value, from the same start."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Sweep",
            display_name="Sweep",
            category=f"{CATEGORY}/optimize",
            description="Runs the Token Optimizer with several values of one or two settings and "
            "shows the results side by side, with a table of losses.",
            search_aliases=["xy plot", "grid", "compare settings", "parameter search"],
            has_intermediate_output=True,
            inputs=[*_sockets(), *_settings(), *_base(), *_rest()],
            outputs=[
                widgets.image_output("All results with their values, as one image.", "grid"),
                widgets.image_output(
                    "The results at the tokenizer's size, row by row, without those not run.",
                    "images",
                ),
                widgets.text_output(
                    "table", "Values, final loss, terms, steps and time of each run (Markdown)."
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
        caption: Caption | None = None,
        **settings,
    ) -> io.NodeOutput:
        tokenizer = captioned(tokenizer, caption)
        config = make_config(tokenizer, options, ema=True, token_noise=True, **settings)
        base = Job(config, recipe_of(loss), seed)
        plan = make_plan(base, setting_1, values_1, setting_2, values_2)
        with stoppable() as stop:
            draw = partial(live_grid, plan)
            results = run_plan(plan, tokenizer, tokens, options, stop, draw)
        scores = table(plan, results)
        return io.NodeOutput(
            from_images(grid(plan, results)),
            from_images(torch.cat([result.images for result in results])),
            scores,
            ui={
                "tokenopt_notes": [scores, *notes(plan, results, stop.raised)],
                **results[-1].curve,
            },
        )


def _sockets() -> list[io.Input]:
    return [
        widgets.tokenizer(),
        widgets.tokens("The starting point of every run: TiTok Encode or Random Tokens."),
        widgets.loss("The loss to minimize, as for the Token Optimizer."),
    ]


def _settings() -> list[io.Input]:
    """The two axes of the grid."""
    values = "Its values, separated by ; or one per line"
    return [
        io.Combo.Input(
            "setting_1",
            options=list(SETTINGS),
            default="lr",
            tooltip="The setting that varies across the columns. prompt, crops and the weights "
            "change the connected loss, all others the run.",
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
            tooltip="The setting that varies across the rows; none: only one setting.",
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
        steps_input(100, "Steps of each run. Fewer than for a final result are often enough."),
        lr_input(),
        run_seed_input("The same for every run, so that only the swept settings differ."),
    ]


def _rest() -> list[io.Input]:
    more = [
        quantize_input(),
        ema_decay_input(" 0: no average."),
        noise_scale_input(0.0, "0: none."),
        regularize_input("A swept reg_weight pulls towards the start if this is none."),
        reg_weight_input(),
        reset_every_input(),
        keep_input("the running average, or the last tokens if ema_decay is 0"),
    ]
    return [*map(advanced, more), options_input(), widgets.caption()]
