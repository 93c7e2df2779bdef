"""Which codes at one position change a picture most? A tenth of them is tried."""

import torch
from pictures import save

from tokenopt_core import SearchConfig, load_tokenizer, perturb_search
from tokenopt_core.demo import render as draw
from tokenopt_core.demo import sample

POSITIONS = [1, 6]  # the object's colour, and the light: docs/science/tokens.md


def main() -> None:
    tokenizer = load_tokenizer("demo")
    images = draw(sample(1, seed=7).replace(light="bright"), seed=7)  # (1, 3, 64, 64)
    tokens, codes = tokenizer.quantize(tokenizer.encode(images))  # (1, 16, 12), (1, 16)
    original = tokenizer.decode(tokens)
    columns = {"original": original.expand(len(POSITIONS), -1, -1, -1)}
    config = SearchConfig(top_k=4, method="guided", share=0.1)
    found = list(perturb_search(tokenizer, codes, POSITIONS, config))
    for result in found:
        named = zip(result.codes.tolist(), result.losses.tolist(), strict=True)
        print(
            f"position {result.position}, now {result.old_code}:",
            ", ".join(f"{code} changes a pixel by {loss:.2f}" for code, loss in named),
        )
    for place in range(4):
        columns[f"number {place + 1}"] = torch.stack([result.images[place] for result in found])
    save("perturb.png", columns)


if __name__ == "__main__":
    main()
