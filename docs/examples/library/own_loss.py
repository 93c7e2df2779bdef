"""A loss of your own is a function of the images: the colours of a sunset, the edges kept."""

import torch
from pictures import save
from torch import Tensor

from tokenopt_core import OptimizeConfig, WeightedSum, load_tokenizer, optimize, render
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample

SUNSET = torch.tensor([0.90, 0.60, 0.45])  # red, green, blue


def sunset(images: Tensor) -> Tensor:
    """How far the mean colour of images (b, 3, h, w) in [0, 1] is from a sunset's: (b,)."""
    return (images.mean((2, 3)) - SUNSET.to(images)).square().sum(1)


def main() -> None:
    tokenizer = load_tokenizer("demo")
    images = draw(sample(3, seed=5).replace(light="bright"), seed=5)  # (3, 3, 64, 64)

    def edges(moved: Tensor) -> Tensor:
        """How far differences of neighbouring pixels are from those of the original: (b,)."""
        across, down = (moved.diff(dim=axis) - images.diff(dim=axis) for axis in (2, 3))
        return across.abs().mean((1, 2, 3)) + down.abs().mean((1, 2, 3))

    loss = WeightedSum([(1.0, sunset), (2.0, edges)])
    config = OptimizeConfig(steps=60, lr=0.1, ema_decay=0.9)
    for step in optimize(tokenizer, loss, tokenizer.encode(images), config):
        if step.index % 20 == 0:
            terms = {name: round(value.mean().item(), 3) for name, value in step.terms.items()}
            print(f"step {step.index}: {terms}")
    save("own_loss.png", {"before": images, "at sunset": render(tokenizer, step.result)[0]})


if __name__ == "__main__":
    main()
