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

PROMPT = "a large blue heart on the left, plain sand background, bright"


def main() -> None:
    tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
    start = random_features(tokenizer.spec, seeds=[7])  # (1, 16, 12); `best_of` chooses among many
    film = {"noise": render(tokenizer, start)[0]}
    loss = ClipLoss(guide, PROMPT, crops=4, flip=False)
    config = OptimizeConfig(steps=200, lr=0.2, ema_decay=0.95, token_noise=0.6)
    for step in optimize(tokenizer, loss, start, config, seeds=7):
        if step.index in (10, 40, 100):
            film[f"step {step.index}"] = step.images
    film["result"], _ = render(tokenizer, step.result)
    print(f"the judge sees: {judge(film['result']).names()[0]}")
    save("generate.png", film)


if __name__ == "__main__":
    main()
