# The source of tour.ipynb: `python -m devtools.pages.notebook` runs it and writes that file.
# %% [markdown]
# # TokenOpt in ten minutes
#
# A picture as 16 tokens, and what can be done with them: look at them, exchange one, move all of
# them by gradient descent until CLIP agrees with a text. Everything here runs offline and on a CPU,
# with the demo models that come with the library (`pip install .` in the repository). For
# photographs load a released tokenizer and CLIP instead: the lines below stay the same.
# %%
import torch
from PIL import Image

from tokenopt_core import (
    ClipLoss,
    OptimizeConfig,
    WeightedSum,
    copy_tokens,
    load_guide,
    load_tokenizer,
    optimize,
    pixel_influence,
    render,
)
from tokenopt_core.demo import caption, judge, sample
from tokenopt_core.demo import render as draw

tokenizer, guide = load_tokenizer("demo"), load_guide("demo")


def show(*rows, side=128):
    """A picture of rows of images, each (b, 3, h, w) in [0, 1]."""
    sheet = Image.new("RGB", ((side + 6) * len(rows[0]), (side + 6) * len(rows)), "white")
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            pixels = image.clamp(0, 1).mul(255).round().byte().movedim(0, 2).numpy()
            picture = Image.fromarray(pixels).resize((side, side))
            sheet.paste(picture, (column * (side + 6), row * (side + 6)))
    return sheet


# %% [markdown]
# ## A picture is 16 tokens
#
# The demo world has scenes with eight attributes. Above the originals, below what the decoder makes
# of 16 codes each: 20 bytes for a picture.
# %%
scenes = sample(5, seed=3).replace(light="bright")
images = draw(scenes, seed=3)  # (5, 3, 64, 64) in [0, 1]
features = tokenizer.encode(images)  # (5, 16, 12)
tokens, codes = tokenizer.quantize(features)  # (5, 16, 12), (5, 16)
again = tokenizer.decode(tokens)
print(caption(scenes)[0])
print(codes[0].tolist())
show(images, again)

# %% [markdown]
# ## What does a token do?
#
# No token belongs to a place: each speaks of the whole picture. Here is where the decoded picture
# changes when one token is replaced by other codes, for four of them (bright is much). Token 6 of
# this tokenizer carries the light.
# %%
maps = pixel_influence(tokenizer, tokens[4:], samples=16)[[1, 6, 9, 14]]  # (4, 64, 64)
maps = maps / maps.amax((1, 2), keepdim=True)
show(torch.cat([again[4:], maps[:, None].expand(-1, 3, -1, -1)]))

# %%
dark = tokenizer.encode(draw(sample(1, seed=4).replace(light="dark"), seed=4))
show(render(tokenizer, copy_tokens(features, dark, [6]))[0])

# %% [markdown]
# ## Edit by text
#
# The features are the variables of Adam, the loss is what CLIP thinks of random crops; the models
# stay as they are. `optimize` gives one step after another, so that a loop can watch, draw or stop.
# %%
names = {"shape": "circle", "colour": "red", "size": "large", "position": "left"}
names |= {"background": "sky", "pattern": "plain", "light": "bright", "focus": "sharp"}
start = draw(sample(1).replace(**names), seed=7)
prompt = "a large green heart on the left, plain sky background, bright, sharp"
loss = ClipLoss(guide, prompt, crops=4, flip=False)
config = OptimizeConfig(steps=100, ema_decay=0.95)
tries = tokenizer.encode(start).repeat(3, 1, 1)  # each with crops of its own; the best is kept
film = [start]
for step in optimize(tokenizer, loss, tries, config, seeds=5):
    if step.index in (5, 10, 20, 40):
        film.append(step.images[:1])
        print(f"step {step.index}: loss {step.loss.mean():.3f}")
result, _ = render(tokenizer, step.result[step.best_loss.argmin()][None])
show(torch.cat([*film, result]))

# %% [markdown]
# An optimizer may please CLIP without making a picture that a human would call right. So the demo
# has a judge that no loss ever sees:
# %%
judge(result).names()[0]

# %% [markdown]
# ## Your own loss
#
# Any function of the images that gives one number for each; here the colours of a sunset, while the
# edges stay. The examples beside this file inpaint, generate from noise and learn attributes;
# `docs/losses.md` has the rules of a good loss.
# %%
target = torch.tensor([0.90, 0.60, 0.45])


def sunset(pictures):
    return (pictures.mean((2, 3)) - target).square().sum(1)


def edges(pictures):
    down, across = (pictures.diff(dim=axis) - images.diff(dim=axis) for axis in (2, 3))
    return down.abs().mean((1, 2, 3)) + across.abs().mean((1, 2, 3))


loss = WeightedSum([(1.0, sunset), (2.0, edges)])
for step in optimize(tokenizer, loss, features, OptimizeConfig(steps=41, lr=0.1)):
    if step.index % 20 == 0:
        terms = {name: round(value.mean().item(), 3) for name, value in step.terms.items()}
        print(f"step {step.index}: {terms}")
show(images, render(tokenizer, step.result)[0])
