"""Token Optimizer: the loop of arXiv 2506.08257 (sections 4 and 5) with its tweaks."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable

from torch import Tensor

from ..tokenopt_core.config import OptimizeConfig, Step
from ..tokenopt_core.losses import Loss, MaskedL1Loss, WeightedSum
from ..tokenopt_core.optimize import optimize, render
from .compat import CATEGORY, ProgressBar, io, model_management
from .gradients import activation_bytes, gradient_scope
from .images import from_images, preview
from .optimizer_inputs import optimizer_inputs
from .recipes import LossRecipe
from .types import LoadedTokenizer, Tokens, TokensSocket

log = logging.getLogger(__name__)

PREVIEW_SIZE = 512


class Optimize(io.ComfyNode):
    """Changes tokens by gradient descent until the decoded image has a low loss."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TokenOpt_Optimize",
            display_name="Token Optimizer",
            category=CATEGORY,
            description="Changes the tokens step by step until the image that they decode to "
            "satisfies the loss. Shows the image while it changes.",
            inputs=optimizer_inputs(),
            outputs=[
                io.Image.Output(display_name="image", tooltip="The result, tokenizer's size."),
                TokensSocket.Output(
                    display_name="tokens",
                    tooltip="Its tokens, to continue or to copy from.",
                ),
            ],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        tokens: Tokens,
        loss: LossRecipe,
        steps: int,
        seed: int,
        quantize: bool,
        reset_every: int,
        preview_every: int,
        **settings,
    ) -> io.NodeOutput:
        tokens.check_tokenizer(tokenizer)
        tokenizer.check_decodable()
        config = _config(steps=steps, quantize=quantize, reset_every=reset_every, **settings)
        size, batch = tokenizer.spec.image_size, len(tokens)
        memory = activation_bytes(size, batch, gradients=True)
        with gradient_scope(tokenizer, *loss.guides, memory=memory) as device:
            parts = loss.build(device, size, batch)
            run = optimize(
                tokenizer.module,
                WeightedSum(parts),
                tokens.values.to(device),
                config,
                seeds=seed,
                reset=_known_pixels(parts) if reset_every else None,
            )
            features, report = _follow(run, steps, preview_every)
            images, _ = render(tokenizer.module, features, quantize=quantize)
            result = Tokens(features.float().cpu().clone(), not quantize, tokenizer.name)
        return io.NodeOutput(from_images(images), result, ui={"tokenopt": [json.dumps(report)]})


def _config(
    *, lr: float, ema: bool, ema_decay: float, token_noise: bool, noise_scale: float, **rest
):
    """The library's settings; what a toggle switches off is 0 there."""
    return OptimizeConfig(
        lr=lr,
        ema_decay=ema_decay if ema else 0.0,
        token_noise=noise_scale if token_noise else 0.0,
        **rest,
    )


def _known_pixels(parts: list[tuple[float, Loss]]) -> Callable[[Tensor], Tensor]:
    """The function that puts the known pixels back, from the one masked loss."""
    masked = [loss for _, loss in parts if isinstance(loss, MaskedL1Loss)]
    if len(masked) != 1:
        raise ValueError(
            f"reset_every needs exactly one L1 Masked Loss in the connected loss, found "
            f"{len(masked)}; connect one, or set reset_every to 0."
        )
    return masked[0].composite


def _follow(run: Iterable[Step], steps: int, preview_every: int) -> tuple[Tensor, dict]:
    """The last (averaged) features of a run, and a report; shows progress and stops on cancel."""
    bar, first, start = ProgressBar(steps), None, time.perf_counter()
    for step in run:
        model_management.throw_exception_if_processing_interrupted()
        done = step.index + 1
        show = preview_every and (done % preview_every == 0 or done == steps)
        image = ("JPEG", preview(step.images), PREVIEW_SIZE) if show else None
        bar.update_absolute(done, steps, image)
        first = first or step
    report = {
        "loss_first": _rounded(first.loss),
        "loss_last": _rounded(step.loss),
        "seconds": round(time.perf_counter() - start, 3),
        "steps": steps,
    }
    log.info(
        "Token Optimizer: %d steps in %.1f s (%.3f s/step), loss %.4f -> %.4f",
        steps,
        report["seconds"],
        report["seconds"] / steps,
        first.loss.mean(),
        step.loss.mean(),
    )
    return step.averaged, report


def _rounded(loss: Tensor) -> list[float]:
    return [round(value, 6) for value in loss.tolist()]
