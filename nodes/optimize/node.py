"""Token Optimizer: the loop of arXiv 2506.08257 (sections 4 and 5) with its tweaks."""

from __future__ import annotations

from ..host import widgets
from ..host.compat import CATEGORY, io, schema
from ..host.images import from_images
from ..host.loss_feed import LossFeed
from ..host.progress import RunProgress, StepBar, every
from ..host.run_log import TimeLeft
from ..host.sockets import Caption, LoadedTokenizer, Options, Tokens
from ..host.stop import stoppable
from ..loaders.captions import captioned
from ..losses.recipe import LossRecipe, recipe_of
from .inputs import optimizer_inputs
from .report import chart, log_result, notes, record_text, ui_report
from .run import Outcome, make_config, run_optimization


class Optimize(io.ComfyNode):
    """Changes tokens by gradient descent until the decoded image has a low loss."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_Optimize",
            display_name="Token Optimizer",
            category=f"{CATEGORY}/optimize",
            description="Optimizes tokens by gradient descent so that the decoded image minimizes "
            "a loss. Shows the image as it changes.",
            search_aliases=[
                "edit image",
                "text edit",
                "inpaint",
                "text to image",
                "sampler",
                "gradient descent",
            ],
            has_intermediate_output=True,
            inputs=optimizer_inputs(),
            outputs=[
                widgets.image_output("The result, at the tokenizer's size."),
                widgets.tokens_output("The result's tokens, to continue from or to copy."),
                widgets.image_output("The loss and each of its terms over the steps.", "chart"),
                widgets.image_output(
                    "Frames from the start to the result, for an animation (Save Animated WEBP). "
                    "For a batch, the first four images side by side.",
                    "trajectory",
                ),
                widgets.text_output(
                    "codes",
                    "For each image, the codes before and after, and the positions that changed.",
                ),
                widgets.text_output(
                    "record",
                    "The run as JSON: seeds, settings, loss curves, timings, versions. Save Image "
                    "with Record writes it into the file.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens: Tokens,
        loss: LossRecipe,
        seed: int,
        preview_every: int,
        options: Options | None = None,
        caption: Caption | None = None,
        **settings,
    ) -> io.NodeOutput:
        loss, tokenizer = recipe_of(loss), captioned(tokenizer, caption)
        config = make_config(tokenizer, options, **settings)
        bar = StepBar(config.steps, TimeLeft.of(config))
        follow = RunProgress(config.steps, every(preview_every, config.steps), bar)
        with stoppable() as stop:
            outcome = run_optimization(
                tokenizer,
                tokens,
                loss,
                config,
                seed=seed,
                options=options,
                follow=follow,
                stop=stop,
            )
        return io.NodeOutput(
            from_images(outcome.images),
            outcome.tokens,
            from_images(chart(outcome)),
            from_images(outcome.frames),
            outcome.recorder.changes_text(),
            record_text(outcome, loss, tokenizer),
            ui=_ui(outcome, follow.feed),
        )


def _ui(outcome: Outcome, feed: LossFeed) -> dict[str, list]:
    """What the page shows of a run: figures for scripts, notes and the curve; also in the log."""
    report = ui_report(outcome)
    log_result(report)
    return {"tokenopt": [report], "tokenopt_notes": notes(outcome), **feed.ui()}
