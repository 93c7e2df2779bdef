"""Measures the shipped demo models on fresh scenes, read as a user reads them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tokenopt_core import (
    ClipLoss,
    OptimizeConfig,
    SamplingConfig,
    generate,
    load_generator,
    load_guide,
    load_tokenizer,
    optimize,
)
from tokenopt_core.demo import ATTRIBUTES, Attributes, caption, judge, render, sample

from .generator import attributes_of, class_of
from .invalid import invalid_images, miscounted_scenes
from .scenes import ScenePool

SHIPPED = Path(__file__).parents[1] / "tokenopt_core" / "demo"
EDIT = {
    "steps": 200,
    "lr": 0.3,
    "lr_schedule": "cosine",
    "ema_decay": 0.95,
    "token_noise": 0.6,
}
CROPS = 4
NAMES = list(ATTRIBUTES)


def checksums() -> dict[str, str]:
    """SHA-256 of each shipped weights file."""
    files = sorted(SHIPPED.glob("*/*.safetensors"))
    return {
        path.relative_to(SHIPPED).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def measure(
    scenes: int = 2048,
    captioned: int = 384,
    edits: int = 32,
    generated: int = 2048,
    seed: int = 90001,
) -> dict[str, object]:
    """All figures of the record; `seed` draws scenes that no training saw.

    Args:
        scenes: for the judge and the tokenizer.
        captioned: of these, those with which CLIP is asked for the right one of 64 captions.
        edits: text edits, judged.
        generated: images of the generator, the same number of each class.
    """
    pool = ScenePool.render(scenes, seed)
    images = pool.images.float() / 255
    tokenizer, guide = load_tokenizer("demo"), load_guide("demo")
    asked = Attributes(pool.indices[:captioned])
    with torch.no_grad():
        shown, codes = _reconstruct(tokenizer, images)
    figures = {
        "scenes": scenes,
        "judge": _judge_figures(images, pool.indices, seed),
        "tokenizer": _tokenizer_figures(images, shown, codes, pool.indices, tokenizer),
        "clip": {
            "scenes": captioned,
            "right_of_64": _right_of_64(guide, images[:captioned], asked),
            "right_of_64_reconstructed": _right_of_64(guide, shown[:captioned], asked),
        },
        "edits": _edit_figures(tokenizer, guide, edits, seed),
    }
    if (SHIPPED / "generator").exists():
        figures["generator"] = generator_figures(tokenizer, generated, seed)
    return figures


@torch.no_grad()
def _reconstruct(tokenizer, images: Tensor) -> tuple[Tensor, Tensor]:
    shown, codes = [], []
    for chunk in images.split(256):
        quantized = tokenizer.quantize(tokenizer.encode(chunk))
        shown.append(tokenizer.decode(quantized.tokens).clamp(0, 1))
        codes.append(quantized.codes)
    return torch.cat(shown), torch.cat(codes)


def _judge_figures(images: Tensor, indices: Tensor, seed: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(seed + 1)
    broken = invalid_images(images, miscounted_scenes(1000, generator), generator)
    seen, refused = judge(images), judge(broken)
    same = seen.indices == indices
    figures = {name: _share(same[:, k]) for k, name in enumerate(NAMES)}
    return {
        **figures,
        "all": _share(same.all(1)),
        "valid_scenes_called_valid": _share(seen.valid > 0.5),
        "invalid_scenes_called_invalid": _share(refused.valid < 0.5),
    }


def _tokenizer_figures(images, shown, codes, indices, tokenizer) -> dict[str, object]:
    mse = (images - shown).square().mean(dim=(1, 2, 3))
    seen = judge(shown)
    usage = torch.bincount(codes.flatten(), minlength=tokenizer.spec.codebook_size).float()
    share = usage / usage.sum()
    entropy = -(share[share > 0] * share[share > 0].log()).sum()
    same = seen.indices == indices
    return {
        "psnr": round((-10 * mse.log10()).mean().item(), 2),
        "kept": {name: _share(same[:, k]) for k, name in enumerate(NAMES)},
        "called_valid": _share(seen.valid > 0.5),
        "codes_used": _share(usage > 0),
        "perplexity": round(entropy.exp().item(), 1),
    }


@torch.no_grad()
def _right_of_64(guide, images: Tensor, attributes: Attributes) -> float:
    """How often CLIP prefers the right one of the 64 captions that differ in shape and colour."""
    embedded = torch.cat([guide.encode_image(_fit(c, guide)) for c in images.split(256)])
    similarity = []
    for shape in ATTRIBUTES["shape"]:
        for colour in ATTRIBUTES["colour"]:
            texts = caption(attributes.replace(shape=shape, colour=colour))
            text = torch.cat(
                [guide.encode_text(texts[i : i + 512]) for i in range(0, len(texts), 512)]
            )
            similarity.append((embedded * text).sum(-1))
    best = torch.stack(similarity, dim=1).argmax(dim=1)
    wanted = attributes.indices[:, 0] * 8 + attributes.indices[:, 1]
    return _share(best == wanted)


def _fit(images: Tensor, guide) -> Tensor:
    size = guide.image_size
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def _edit_figures(tokenizer, guide, n: int, seed: int) -> dict[str, object]:
    """Text edits of another shape and another colour, everything else to be kept."""
    start = sample(n, seed + 2)
    generator = torch.Generator().manual_seed(seed + 3)
    indices = start.indices.clone()
    indices[:, :2] = (indices[:, :2] + torch.randint(1, 8, (n, 2), generator=generator)) % 8
    wanted = Attributes(indices)
    images = render(start, seed + 4)
    with torch.no_grad():
        features = tokenizer.encode(images)
    loss = ClipLoss(guide, caption(wanted), crops=CROPS, flip=False)
    for step in optimize(tokenizer, loss, features, OptimizeConfig(**EDIT), seeds=0):
        last = step
    with torch.no_grad():
        edited = tokenizer.decode(tokenizer.quantize(last.result).tokens).clamp(0, 1)
    before, after = judge(images), judge(edited)
    kept = after.indices[:, 2:] == indices[:, 2:]
    return {
        "settings": EDIT | {"crops": CROPS},
        "n": n,
        "success_before": _share(before.agrees(wanted, ("shape", "colour"))),
        "success": _share(after.agrees(wanted, ("shape", "colour"))),
        "shape": _share(after.indices[:, 0] == indices[:, 0]),
        "colour": _share(after.indices[:, 1] == indices[:, 1]),
        "valid": _share(after.valid > 0.5),
        "other_six_kept": _share(kept.float()),
        "all_eight": _share(after.agrees(wanted)),
    }


def generator_figures(
    tokenizer, n: int = 2048, seed: int = 90001, config: SamplingConfig | None = None
) -> dict[str, object]:
    """How well n images of the demo generator, as many of each class, show what was asked for.

    `differences` are mean absolute differences of two images' pixels, of any two and of two of the
    same class, over those of scenes of the same classes: below 1 is less variety.
    """
    generator = load_generator("demo")
    classes = generator.spec.num_classes
    labels = torch.arange(n) % classes
    *_, last = generate(generator, labels, config, seeds=seed)
    with torch.no_grad():
        images = torch.cat([tokenizer.decode(tokenizer.lookup(c)) for c in last.codes.split(256)])
    scenes = sample(n, seed + 5)
    scenes.indices[:, :2] = attributes_of(labels)
    seen = judge(images)
    right = seen.agrees(scenes, ("shape", "colour"))
    by_class = torch.stack([right[labels == label].float().mean() for label in range(classes)])
    own, real = (
        _differences(images.clamp(0, 1), classes),
        _differences(render(scenes, seed), classes),
    )
    return {
        "n": n,
        "as_asked": _share(right),
        "valid": _share(seen.valid > 0.5),
        "classes_above_75_percent": int((by_class > 0.75).sum()),
        "worst_class": round(by_class.min().item(), 3),
        "differences": {name: round(own[name] / real[name], 3) for name in own},
        "held": _held_figures(generator, tokenizer, min(n, 512), seed),
    }


@torch.no_grad()
def _held_figures(generator, tokenizer, n: int, seed: int) -> dict[str, object]:
    """Share of valid images of the class, where half of a scene's codes were held while the others
    were made, and where they were pasted into a finished image of the same class."""
    scenes = sample(n, seed + 6)
    codes = tokenizer.quantize(tokenizer.encode(render(scenes, seed + 6))).codes
    order = torch.rand(codes.shape, generator=torch.Generator().manual_seed(seed)).argsort(1)
    held, labels = order < codes.shape[1] // 2, class_of(scenes.indices)
    *_, during = generate(generator, labels, keep=(codes, held), seeds=seed)
    *_, before = generate(generator, labels, seeds=seed)
    made = {"during": during.codes, "pasted": codes.where(held, before.codes)}
    seen = {name: judge(tokenizer.decode(tokenizer.lookup(c))) for name, c in made.items()}
    names = ("shape", "colour")
    return {"n": n} | {name: _share(s.agrees(scenes, names)) for name, s in seen.items()}


def _differences(images: Tensor, classes: int) -> dict[str, float]:
    """Of images whose classes follow each other in turn: half a turn further is another class."""
    return {
        "any": (images - images.roll(classes // 2 + 1, 0)).abs().mean().item(),
        "same class": (images - images.roll(classes, 0)).abs().mean().item(),
    }


def _share(flags: Tensor) -> float:
    return round(flags.float().mean().item(), 4)
