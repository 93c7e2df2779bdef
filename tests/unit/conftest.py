"""Tiny models with random weights: a CLIP folder for the guides, tokenizers for the loop."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from safetensors.torch import save_file

from tokenopt_core.guides.guide import Guide, load_guide
from tokenopt_core.tokenizers import TiTok, TokenizerSpec, ViTSize, build_tokenizer, save_tokenizer

TEXT = "a photo of red green blue circle square on the left right dark bright , ."
WORDS = TEXT.split()
CLIP = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {
        "context_length": 12,
        "vocab_size": len(WORDS) + 4,
        "width": 32,
        "heads": 2,
        "layers": 2,
        "hf_tokenizer_name": "local",
    },
}
PREPROCESSING = {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]}


# Tests with random inputs: the same few each time, or so many new ones as TOKENOPT_EXAMPLES says.
EXAMPLES = int(os.environ.get("TOKENOPT_EXAMPLES", "0"))
settings.register_profile(
    "tokenopt",
    max_examples=EXAMPLES or 20,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("tokenopt")


@pytest.fixture(autouse=True)
def _one_thread():
    """Tiny models are quicker, and sums the same everywhere, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def save_clip(folder: Path, **extra) -> Path:
    """A folder as open_clip writes it, with a word-level tokenizer and random weights."""
    from open_clip.model import CLIP as Model

    config = CLIP | extra
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Model(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    facts = {"model_cfg": config, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(facts), encoding="utf-8")
    save_words(folder)
    return folder


def save_words(folder: Path) -> None:
    """tokenizer.json and tokenizer_config.json: lower-case words, [UNK] for all others."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    names = ["[PAD]", "[UNK]", "[BOS]", *WORDS, "[EOS]"]
    vocabulary = {name: number for number, name in enumerate(names)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]",
        special_tokens=[(name, vocabulary[name]) for name in ("[BOS]", "[EOS]")],
    )
    words.save(str(folder / "tokenizer.json"))
    special = {f"{kind}_token": f"[{kind.upper()}]" for kind in ("pad", "unk", "bos", "eos")}
    facts = {"tokenizer_class": "PreTrainedTokenizerFast", **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(facts), encoding="utf-8")


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="session")
def siglip_folder(tmp_path_factory) -> Path:
    """The same with the bias that makes it a SigLIP."""
    return save_clip(tmp_path_factory.mktemp("siglip"), init_logit_bias=-10.0)


@pytest.fixture(scope="session")
def guide(clip_folder) -> Guide:
    return load_guide(clip_folder)


def tiny_tokenizer(**changes) -> TiTok:
    size = ViTSize(width=32, layers=2, heads=2)
    fields = {
        "name": "tiny",
        "image_size": 32,
        "num_tokens": 6,
        "token_size": 12,
        "codebook_size": 64,
        "l2_normalized": True,
        "encoder": size,
        "decoder": size,
        "encoder_patch": 8,
        "decoder_patch": 8,
    }
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = TiTok(TokenizerSpec(**fields | changes))
        for parameter in model.parameters():  # the usual start is too small to see anything
            parameter.data += 0.15 * torch.randn_like(parameter)
    return model.requires_grad_(False).eval()


@pytest.fixture
def make_tokenizer() -> Callable[..., TiTok]:
    """Spec fields -> a tokenizer of one's own, to spoil."""
    return tiny_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> TiTok:
    """A tokenizer whose codebook looks at directions only."""
    return tiny_tokenizer()


@pytest.fixture(scope="session")
def vae() -> TiTok:
    return tiny_tokenizer(kind="vae", codebook_size=None, l2_normalized=False, token_size=8)


@pytest.fixture(scope="session")
def plain_tokenizer() -> TiTok:
    """A tokenizer whose codebook looks at lengths too."""
    return tiny_tokenizer(l2_normalized=False, token_size=10)


@pytest.fixture
def hub_layout(tmp_path) -> Callable[..., Path]:
    """Spec -> a folder in hub layout with random weights, written anew at each call."""

    def save(spec: TokenizerSpec, **options) -> Path:
        torch.manual_seed(0)
        save_tokenizer(build_tokenizer(spec), tmp_path / spec.name, **options)
        return tmp_path / spec.name

    return save


@pytest.fixture
def features() -> torch.Tensor:
    """(3, 6, 12), for `tokenizer`."""
    return torch.randn(3, 6, 12, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def images() -> torch.Tensor:
    """(3, 3, 32, 32) in [0, 1]."""
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def untouched_rng():
    """Fails if the test used the global random state."""
    before = torch.get_rng_state()
    yield
    assert torch.equal(torch.get_rng_state(), before)
