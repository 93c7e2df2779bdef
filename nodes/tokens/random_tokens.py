"""Random Tokens: the start of a generation without an image."""

from __future__ import annotations

import torch
from torch import Tensor

from ...tokenopt_core.compute.seeds import image_seeds
from ...tokenopt_core.optimize.starts import best_of, random_codes, random_features
from ..host import widgets
from ..host.compat import CATEGORY, advanced, io, schema
from ..host.memory import MemoryRetry
from ..host.models import activation_bytes, gradient_scope
from ..host.progress import BatchProgress
from ..host.sockets import Caption, LoadedTokenizer, Tokens
from ..loaders.captions import captioned
from ..losses.recipe import LossRecipe, recipe_of
from ..losses.terms import Batch

KINDS = ("features", "codes")
MOST_STARTS = 256
_NEXT_START = 0x5851F42D4C957F2D  # from the seed of one start to that of the image's next


class RandomTokens(io.ComfyNode):
    """Where generation without a seed image starts (arXiv 2506.08257, section 4.2)."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="TokenOpt_RandomTokens",
            display_name="Random Tokens",
            category=f"{CATEGORY}/tokens",
            description="Random tokens as a start when there is no image to edit.",
            search_aliases=["noise", "generate", "text to image", "empty latent", "seed"],
            inputs=[
                widgets.tokenizer(),
                widgets.seed(
                    "Seed for the random numbers: the same seed gives the same tokens on every "
                    "machine. The images of a batch use seed, seed + 1, ...",
                    control_after_generate=True,
                ),
                widgets.batch_size(
                    "Number of images. More: all are optimized together, which takes time and "
                    "memory."
                ),
                advanced(
                    io.Float.Input(
                        "scale",
                        default=1.0,
                        min=0.001,
                        max=100.0,
                        step=0.05,
                        tooltip="Standard deviation of the random numbers. For tokenizers with "
                        "a normalized codebook (demo, L-32, B-64, S-128) it does not change the "
                        "first image, only how far one optimizer step moves the tokens. More: "
                        "slower, steadier.",
                    )
                ),
                *_added_later(),
            ],
            outputs=[widgets.tokens_output("Random tokens, one set per image, not yet quantized.")],
        )

    @classmethod
    def execute(
        cls,
        tokenizer: LoadedTokenizer,
        seed: int,
        batch_size: int,
        scale: float = 1.0,
        kind: str = KINDS[0],
        best_of: int = 1,
        loss: LossRecipe | None = None,
        caption: Caption | None = None,
    ) -> io.NodeOutput:
        if best_of > 1 and loss is None:
            raise ValueError(
                f"best_of is {best_of}, but there is no loss to choose by; connect the loss of the "
                "Token Optimizer here too, or set best_of to 1."
            )
        seeds = image_seeds(seed, batch_size)
        if best_of > 1:
            _check_needs_no_image(recipe_of(loss))
            tokenizer = captioned(tokenizer, caption)
            values = _best_starts(tokenizer, seeds, scale, kind, best_of, recipe_of(loss))
        else:
            with gradient_scope(tokenizer):
                values = _starts(tokenizer, seeds, scale, kind)
        return io.NodeOutput(Tokens(values.float().cpu(), False, tokenizer.name))


def _check_needs_no_image(recipe: LossRecipe) -> None:
    if any(getattr(term, "source", ()) and term.preserve for term in recipe.every_term()):
        raise ValueError(
            "best_of chooses by a loss with a source_prompt, but random tokens show nothing to "
            "compare with; empty the source_prompt, or set best_of to 1."
        )


def _added_later() -> list[io.Input]:
    return [
        io.Combo.Input(
            "kind",
            options=list(KINDS),
            default=KINDS[0],
            optional=True,
            tooltip="features: normal random numbers, rounded to the codebook when decoded (paper: "
            "works better). codes: random entries of the codebook. A VAE has only features.",
        ),
        io.Int.Input(
            "best_of",
            default=1,
            min=1,
            max=MOST_STARTS,
            optional=True,
            tooltip="Draw this many starts per image and keep the one with the lowest loss; needs "
            "a loss. Each costs one decoded image and no gradient. 1: just one start.",
        ),
        widgets.loss(
            "Criterion for best_of: the same loss as for the Token Optimizer.", optional=True
        ),
        widgets.caption(),
    ]


def _starts(tokenizer: LoadedTokenizer, seeds: list[int], scale: float, kind: str) -> Tensor:
    """One start (b, n, d) for each seed."""
    if kind == "features":
        return random_features(tokenizer.spec, seeds, scale)
    _, features = random_codes(tokenizer.module, seeds, scale)
    return features


def _best_starts(
    tokenizer: LoadedTokenizer,
    seeds: list[int],
    scale: float,
    kind: str,
    count: int,
    recipe: LossRecipe,
) -> Tensor:
    """The best of `count` starts for each seed; the first is the one that `_starts` gives."""
    size, batch = tokenizer.spec.image_size, len(seeds)
    memory, retry = activation_bytes(size, batch, gradients=False), MemoryRetry()

    def attempt() -> Tensor:
        with gradient_scope(tokenizer, *recipe.guides, memory=memory) as device, torch.no_grad():
            rounds = [
                _starts(
                    tokenizer, [(s + k * _NEXT_START) % widgets.SEEDS for s in seeds], scale, kind
                )
                for k in range(count)
            ]
            candidates = torch.stack(rounds, dim=1).to(device)  # (b, k, n, d)
            loss = recipe.build(Batch(device, size, batch, retry.level))
            best, *_ = best_of(
                tokenizer.module, loss, candidates, seeds=seeds, progress=BatchProgress(count)
            )
            return best.clone()

    return retry.run(attempt, recipe.smallest_chunks)
