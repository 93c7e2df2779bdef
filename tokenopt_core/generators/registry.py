"""Registry of the released generators: their specs, and where their weights are published."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..hub.sources import Published
from ..tokenizers.spec import ViTSize
from .config import USUAL
from .spec import GeneratorSpec

DEMO = "demo"
DEMO_GENERATOR = Path(__file__).parents[1] / "demo" / "generator"


@dataclass(frozen=True, kw_only=True)
class Release(Published):
    """Published weights, and the generator in them."""

    spec: GeneratorSpec


def _titok(size: str, kind: str, width: int, layers: int, **recommended: object) -> Release:
    """ImageNet's generator of a TiTok tokenizer, with the settings of the reported FID."""
    spec = GeneratorSpec(
        name=f"titok-{size}",
        kind=kind,
        num_tokens=int(size[1:]),
        codebook_size=4096,
        num_classes=1000,
        network=ViTSize(width=width, layers=layers, heads=16),
        mlp_width=4 * width,
        recommended=replace(USUAL, anneal=True, **recommended),
    )
    return Release(spec=spec, repo=f"yucornetto/generator_titok_{size}_imagenet")


_BERT = {"kind": "imagebert", "width": 768, "layers": 24, "guidance_schedule": "linear"}

RELEASES: dict[str, Release] = {
    release.spec.name: release
    for release in (
        _titok("l32", **_BERT, steps=8, temperature=9.5, guidance_scale=4.5),
        _titok("b64", **_BERT, steps=8, temperature=11.0, guidance_scale=3.0),
        _titok(
            "s128",
            "uvitbert",
            width=1024,
            layers=20,
            steps=64,
            temperature=2.8,
            guidance_scale=6.9,
            guidance_schedule="power-cosine",
        ),
    )
}


def known_generators() -> tuple[str, ...]:
    """All names that `load_generator` knows: the demo's, where it is there, then the released."""
    return ((DEMO,) if DEMO_GENERATOR.is_dir() else ()) + tuple(RELEASES)
