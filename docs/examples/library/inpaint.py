"""A masked part is filled to fit a prompt; the rest stays, pixel by pixel."""

import torch
from pictures import save

from tokenopt_core import (
    ClipLoss,
    MaskedL1Loss,
    OptimizeConfig,
    WeightedSum,
    feather,
    load_guide,
    load_tokenizer,
    optimize,
    render,
)
from tokenopt_core.demo import judge, sample
from tokenopt_core.demo import render as draw

PROMPT = "a large green circle in the middle, plain sand background, bright, sharp"


def main() -> None:
    tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
    names = {"shape": "circle", "colour": "red", "size": "large", "position": "middle"}
    names |= {"background": "sand", "pattern": "plain", "light": "bright", "focus": "sharp"}
    images = draw(sample(1).replace(**names), seed=7)  # (1, 3, 64, 64)
    mask = torch.zeros(1, 1, 64, 64)
    mask[..., 8:56, 12:52] = 1  # 1 = may change
    known = MaskedL1Loss(images, feather(mask, radius=4))
    loss = WeightedSum([(1.0, ClipLoss(guide, PROMPT, crops=4, flip=False)), (2.0, known)])
    config = OptimizeConfig(steps=150, ema_decay=0.95)
    for step in optimize(tokenizer, loss, tokenizer.encode(images), config):
        if step.index % 50 == 0:
            print(f"step {step.index}: loss {step.loss.mean():.3f}")
    filled = known.composite(render(tokenizer, step.result)[0])
    print(f"the judge sees: {judge(filled).names()[0]}")
    shown = images * (1 - mask) + 0.5 * mask
    save("inpaint.png", {"before": images, "to fill": shown, "after": filled})


if __name__ == "__main__":
    main()
