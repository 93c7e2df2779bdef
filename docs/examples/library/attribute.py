"""What makes a picture dark? Learnt from 64 pairs, given to other pictures in any strength."""

from pictures import save

from tokenopt_core import add_attribute, attribute_vector, load_tokenizer, render
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample


def main() -> None:
    tokenizer = load_tokenizer("demo")
    scenes = sample(64, seed=1)
    dark, bright = (draw(scenes.replace(light=light), seed=1) for light in ("dark", "bright"))
    night = attribute_vector(
        tokenizer, tokenizer.encode(dark), tokenizer.encode(bright), name="demo", strongest=3
    )
    print(f"the dark is in the tokens {night.positions}")
    images = draw(sample(3, seed=12).replace(light="bright"), seed=12)
    features = tokenizer.encode(images)
    columns = {"original": images}
    for strength in (0.5, 1.0, 1.5):
        columns[f"{strength:g} x dark"], _ = render(
            tokenizer, add_attribute(features, night, strength)
        )
    save("attribute.png", columns)


if __name__ == "__main__":
    main()
