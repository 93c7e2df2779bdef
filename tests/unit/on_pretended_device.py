"""Runs the library on a device that is pretended, and on the CPU, and prints how they compare.

Prints one JSON object: "differences", the largest one by computation (null where a result is not on
the device); "waits" of each by function; "steps" of a run; "mixed", what the device says to tensors
of both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

import tokenopt_core as tc
from tests.unit.conftest import save_clip, tiny_tokenizer
from tests.unit.pretended_device import NAME, PretendedDevice, There, register

STEPS = 3
VARIANTS = {
    "plain": {},
    "low_memory": {"low_memory": True},
    "all options": {
        "reset_every": 1,
        "regularize": "seed",
        "reg_weight": 0.1,
        "max_grad_norm": 1.0,
        "locked": (1, 2),
        "keep": "best",
        "token_noise": 0.3,
    },
    "without codes": {"quantize": False},
}


class OwnLoss:
    """Of another maker, who knows of types and not of devices."""

    def cast(self, dtype: torch.dtype) -> OwnLoss:
        return self

    def __call__(self, images: Tensor) -> Tensor:
        return images.square().mean((1, 2, 3))


def computations(device: str, clip: Path) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Names, and what computes there on the device; in half precision only to see that it runs."""
    tokenizer, guide = tiny_tokenizer().to(device), tc.load_guide(clip).to(device)
    vae = tiny_tokenizer(kind="vae", codebook_size=None, l2_normalized=False, token_size=8)
    vae = vae.to(device)
    encoder = tc.load_text_encoder(clip).to(device)
    aware = tiny_tokenizer(layout="tatitok", text_length=12, text_size=32).to(device)
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    pictures = images.to(device)
    features = tokenizer.encode(pictures)
    quantized = tokenizer.quantize(features)
    known = tc.MaskedL1Loss(images, mask)
    losses = [
        tc.ClipLoss(guide, ["a red circle", "blue | dark:-0.5"], "small", crops=3),
        tc.ClipLoss(guide, "green", crops=0, name="whole"),
        tc.ClipLoss(guide, "green", crops=2, chunk_size=1, name="in turn"),
        tc.ClipImageLoss(guide, images[:1], crops=1),
        tc.MaskedComposite(tc.ClipLoss(guide, "square", crops=1), images, mask),
        known,
        tc.MaskedL2Loss(images[:1], mask),
        tc.TotalVariationLoss(),
        tc.RangeLoss(),
    ]
    one = tc.WeightedSum([(1.0, tc.ClipLoss(guide, "green | red:0.5", crops=2)), (0.1, losses[-2])])
    loss = tc.WeightedSum([(1.0, each) for each in losses])

    def run(precision: str, variant: str, start: Tensor, state=None) -> Tensor:
        config = tc.OptimizeConfig(steps=STEPS, precision=precision, **VARIANTS[variant])
        *_, step = tc.optimize(tokenizer, loss, start, config, reset=known.composite, state=state)
        return step.result

    def run_with_caption() -> Tensor:
        caption = encoder.encode_text(["a red circle"]).guidance
        config = tc.OptimizeConfig(steps=STEPS, precision="float32")
        *_, step = tc.optimize(aware.captioned(caption), losses[-2], features, config)
        return step.result

    def models_stay(precision: str, variant: str) -> Tensor:
        """A run whose models are on the CPU, and only its own copies on the device."""
        held, loss_here = tiny_tokenizer(), tc.ClipLoss(tc.load_guide(clip), "green", crops=2)
        loss = tc.WeightedSum([(1.0, loss_here), (1.0, known), (1.0, OwnLoss())])
        config = tc.OptimizeConfig(steps=STEPS, precision=precision, **VARIANTS[variant])
        start = held.encode(images)
        options = {"reset": known.composite, "device": device}
        *_, step = tc.optimize(held, loss, start, config, **options)
        assert not any(isinstance(weight, There) for weight in held.parameters())
        assert step.state.features.device.type == device
        return step.result

    def warm() -> Tensor:
        config = tc.OptimizeConfig(steps=STEPS, precision="float32")
        *_, step = tc.optimize(tokenizer, loss, features, config)
        recorder = tc.RunRecorder(config, [0, 1], quantized.codes)
        recorder.add(step)
        recorder.finish(quantized.codes)
        json.dumps(recorder.record())
        return run("float32", "plain", features.cpu(), step.state.to("cpu"))

    def search(method: str = "exact", dtype=torch.float32, **options) -> Tensor:
        config = tc.SearchConfig(top_k=2, batch=8, method=method, dtype=dtype)
        found = tc.perturb_search(tokenizer, quantized.codes.cpu(), [0, 3], config, **options)
        return torch.stack([each.losses.to(device) for each in found])

    yield "encode", lambda: tokenizer.encode(pictures)
    yield "encode VAE", lambda: vae.encode(pictures)
    yield "sample VAE", lambda: tc.sample_features(vae, pictures, 3)
    yield "decode VAE", lambda: vae.decode(vae.encode(pictures))
    yield "caption", lambda: encoder.encode_text(["a red circle", "dark"]).guidance
    yield "run with a caption", run_with_caption
    yield "quantize", lambda: tokenizer.quantize(features).tokens
    yield "lookup", lambda: tokenizer.lookup(quantized.codes)
    yield "decode", lambda: tokenizer.decode(quantized.tokens)
    yield "render", lambda: tc.render(tokenizer, features.cpu())[0]
    yield "warm restart", warm
    yield "search", search
    yield "search a region by a loss", lambda: search(loss=one, mask=mask)
    yield "guided search", lambda: search("guided", loss=one)
    yield "search in float16", lambda: search("guided", torch.float16, loss=one, mask=mask)
    yield "best of", lambda: tc.best_of(tokenizer, loss, features[:, None].repeat(1, 2, 1, 1))[0]
    yield "random codes", lambda: tc.random_codes(tokenizer, [1, 2])[1]
    yield "influence", lambda: tc.pixel_influence(tokenizer, quantized.tokens, samples=1)
    yield "set codes", lambda: tc.set_codes(features, {1: 5}, tokenizer)
    yield "copy", lambda: tc.copy_tokens(features, features.flip(0), [1, 2])
    other = features.flip(0)
    attribute = tc.attribute_vector(tokenizer, features[:1], features[1:], name="tiny")
    yield "blend", lambda: tc.blend_tokens(features, other, [1, 2], [0.3], directions=True)
    yield "attribute", lambda: tc.add_attribute(features, attribute, 0.5, positions=[1, 2])
    yield "embed", lambda: tc.embed_images(guide, images).to(device)
    for precision, variant in (("float32", "all options"), ("float32", "without codes")):
        yield (
            f"models stay, {precision}, {variant}",
            lambda p=precision, v=variant: models_stay(p, v),
        )
    yield "models stay, float16", lambda: models_stay("float16", "plain")
    for precision in ("float32", "bfloat16", "float16"):
        for variant in VARIANTS:
            yield (
                f"run, {precision}, {variant}",
                lambda p=precision, v=variant: run(p, v, features),
            )


def main(folder: str) -> None:
    """Compares everything on both, and prints what came of it."""
    torch.set_num_threads(1)
    register()
    clip = save_clip(Path(folder))
    expected = {name: compute() for name, compute in computations("cpu", clip)}
    differences, waits, mixed = {}, {}, ""
    with PretendedDevice() as device:
        try:
            torch.ones(2, device=NAME) + torch.ones(2)
        except RuntimeError as error:
            mixed = str(error)
        for name, compute in computations(NAME, clip):
            device.waits.clear()
            result = compute()
            waits[name] = dict(device.waits)
            there = isinstance(result, There)
            apart = (result.inner - expected[name]).abs().max() if there else None
            differences[name] = apart if apart is None else apart.item()
    found = {"steps": STEPS, "differences": differences, "waits": waits, "mixed": mixed}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
