"""One token carries the dark of an image into others; nothing is optimized."""

from pictures import save

from tokenopt_core import copy_tokens, load_tokenizer, render
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample

POSITION = 6  # docs/science/tokens.md measures which position carries what


def main() -> None:
    tokenizer = load_tokenizer("demo")
    scenes = sample(3, seed=11)
    bright = draw(scenes.replace(light="bright"), seed=11)  # (3, 3, 64, 64)
    dark = draw(sample(1, seed=4).replace(light="dark"), seed=4)  # (1, 3, 64, 64)
    target, reference = tokenizer.encode(bright), tokenizer.encode(dark)
    images, _ = render(tokenizer, copy_tokens(target, reference, [POSITION]))
    save(
        "copy_token.png",
        {"bright": bright, "dark": dark.expand_as(bright), f"its token {POSITION}": images},
    )


if __name__ == "__main__":
    main()
