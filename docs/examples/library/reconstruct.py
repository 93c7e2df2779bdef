"""An image becomes 16 whole numbers, a line of text, and an image again."""

from pictures import save

from tokenopt_core import codes_to_text, load_tokenizer
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample


def main() -> None:
    tokenizer = load_tokenizer("demo")  # or a released one: "titok-l32"
    images = draw(sample(4, seed=3), seed=3)  # (4, 3, 64, 64) in [0, 1]; a photograph does as well
    features = tokenizer.encode(images)  # (4, 16, 12)
    tokens, codes = tokenizer.quantize(features)  # (4, 16, 12), (4, 16)
    again = tokenizer.decode(tokens).clamp(0, 1)
    print(f"codes of the first image: {codes[0].tolist()}")
    print(f"as text: {codes_to_text(tokenizer, codes[:1], 'demo')}")
    print(f"mean error of a pixel: {(again - images).abs().mean():.3f}")
    save("reconstruct.png", {"original": images, "from 16 codes": again})


if __name__ == "__main__":
    main()
