"""A picture from nothing: random tokens and gradient descent towards a prompt."""

from pictures import save

from tokenopt_core import (
    ClipLoss,
    OptimizeConfig,
    load_guide,
    load_tokenizer,
    optimize,
    random_features,
    render,
)
from tokenopt_core.demo import judge

PROMPT = "a large red circle in the middle, plain sky background, bright"


def main() -> None:
    tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
    start = random_features(tokenizer.spec, seeds=range(7, 10))  # (3, 16, 12), three tries
    film = {"noise": render(tokenizer, start[:1])[0]}
    loss = ClipLoss(guide, PROMPT, crops=4, flip=False)
    config = OptimizeConfig(steps=200, ema_decay=0.95, token_noise=0.6)
    for step in optimize(tokenizer, loss, start, config, seeds=7):
        if step.index in (10, 40, 100):
            film[f"step {step.index}"] = step.images[:1]
    best = step.best_loss.argmin()  # of the three, by the loss
    film["result"], _ = render(tokenizer, step.result[best][None])
    print(f"the judge sees: {judge(film['result']).names()[0]}")
    save("generate.png", film)


if __name__ == "__main__":
    main()
