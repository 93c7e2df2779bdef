"""A prompt changes the object of a picture: gradient descent on 16 tokens, nothing else."""

from pictures import save

from tokenopt_core import ClipLoss, OptimizeConfig, load_guide, load_tokenizer, optimize, render
from tokenopt_core.demo import judge, sample
from tokenopt_core.demo import render as draw

SHOWN, PROMPT = "a red circle", "a green heart"


def main() -> None:
    tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
    names = {"shape": "circle", "colour": "red", "size": "large", "position": "left"}
    names |= {"background": "sky", "pattern": "plain", "light": "bright", "focus": "sharp"}
    images = draw(sample(1).replace(**names), seed=7)  # (1, 3, 64, 64)
    film = {"before": images}
    config = OptimizeConfig(steps=100, ema_decay=0.95)
    loss = ClipLoss(guide, PROMPT, source_prompt=SHOWN, crops=4, flip=False)
    tries = tokenizer.encode(images).repeat(3, 1, 1)  # (3, 16, 12), each with crops of its own
    for step in optimize(tokenizer, loss, tries, config, seeds=5):
        if step.index in (5, 15, 40):
            film[f"step {step.index}"] = step.images[:1]
    best = step.best_loss.argmin()  # by the loss; no judge is asked
    film["after"], _ = render(tokenizer, step.result[best][None])
    print(f"the judge, which the loss does not know, sees: {judge(film['after']).names()[0]}")
    save("edit_by_text.png", film)


if __name__ == "__main__":
    main()
