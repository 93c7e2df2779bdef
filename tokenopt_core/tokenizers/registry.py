"""Registry of the released tokenizers: their specs, and where their weights are published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..hub.sources import Published
from .spec import VIT_SIZES, PixelStage, TokenizerSpec

DEMO = "demo"
DEMO_TOKENIZER = Path(__file__).parents[1] / "demo" / "tokenizer"


@dataclass(frozen=True, kw_only=True)
class Release(Published):
    """Published weights, and the tokenizer in them."""

    spec: TokenizerSpec


def _legacy(size: str, num_tokens: int) -> Release:
    name = f"titok-{size[0]}{num_tokens}"
    spec = TokenizerSpec(
        name=name,
        num_tokens=num_tokens,
        token_size=12,
        codebook_size=4096,
        l2_normalized=True,
        encoder=VIT_SIZES[size],
        decoder=VIT_SIZES[size],
        legacy=True,
        pixel_stage=PixelStage(),
    )
    return Release(spec=spec, repo=f"yucornetto/tokenizer_titok_{size[0]}{num_tokens}_imagenet")


def _direct(name: str, encoder: str, repo: str) -> Release:
    """A tokenizer that decodes to pixels directly, from a name like "titok-bl64-vq8k"."""
    layout, size, kind = name.split("-")
    vae, text = kind == "vae", layout == "tatitok"
    spec = TokenizerSpec(
        name=name,
        layout=layout,
        kind="vae" if vae else "vq",
        num_tokens=int(size.lstrip("sbl")),
        token_size=16 if vae else 64,
        codebook_size=None if vae else 8192,
        encoder=VIT_SIZES[encoder],
        decoder=VIT_SIZES["large"],
        text_length=77 if text else None,
        text_size=768 if text else None,
    )
    return Release(spec=spec, repo=repo)


def _titok(size: str, encoder: str, kind: str) -> Release:
    published = {"vq8k": "vq8k", "vae": "vae_c16"}[kind]
    repo = f"yucornetto/tokenizer_titok_{size}_{published}_imagenet"
    return _direct(f"titok-{size}-{kind}", encoder, repo)


def _tatitok(size: str, encoder: str, kind: str) -> Release:
    return _direct(f"tatitok-{size}-{kind}", encoder, f"turkeyju/tokenizer_tatitok_{size}_{kind}")


_VQGAN = Release(
    spec=TokenizerSpec(
        name="maskgit-vqgan",
        layout="maskgit-vqgan",
        num_tokens=256,
        token_size=256,
        codebook_size=1024,
        pixel_stage=PixelStage(),
    ),
    repo="fun-research/TiTok",
    files=("maskgit-vqgan-imagenet-f16-256.bin",),
)

RELEASES: dict[str, Release] = {
    release.spec.name: release
    for release in (
        _legacy("large", 32),
        _legacy("base", 64),
        _legacy("small", 128),
        _titok("bl64", "base", "vq8k"),
        _titok("bl128", "base", "vq8k"),
        _titok("sl256", "small", "vq8k"),
        _titok("ll32", "large", "vae"),
        _titok("bl64", "base", "vae"),
        _titok("bl128", "base", "vae"),
        _tatitok("bl32", "base", "vq"),
        _tatitok("bl64", "base", "vq"),
        _tatitok("bl128", "base", "vq"),
        _tatitok("bl32", "base", "vae"),
        _tatitok("bl64", "base", "vae"),
        _tatitok("sl128", "small", "vae"),
        _VQGAN,
    )
}


def known_tokenizers() -> tuple[str, ...]:
    """All names that `load_tokenizer` knows: the demo's first, then the released ones."""
    return (DEMO, *RELEASES)
