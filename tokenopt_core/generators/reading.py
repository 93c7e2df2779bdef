"""Conversion of a checkpoint's shapes and config.json to a `GeneratorSpec`, and back.

The shapes tell the network but for its number of heads; the config must agree with them. Values may
be references like "${model.vq_model.num_latent_tokens}".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..checks import shown
from ..tokenizers.config import look_up
from ..tokenizers.infer import Shapes, count_modules
from ..tokenizers.spec import ViTSize
from .config import USUAL, SamplingConfig
from .registry import RELEASES
from .spec import GeneratorSpec

MODEL_TYPES = {"imagebert": "ViT", "uvitbert": "UViT"}
HEADS = 16  # of every released generator
# Field of the spec, of its network or of the recommended settings -> where the config has it.
KEYS = {
    "kind": "model.generator.model_type",
    "num_tokens": "model.generator.image_seq_len",
    "codebook_size": "model.vq_model.codebook_size",
    "num_classes": "model.generator.condition_num_classes",
    "width": "model.generator.hidden_size",
    "layers": "model.generator.num_hidden_layers",
    "mlp_width": "model.generator.intermediate_size",
}
HEADS_KEY = "model.generator.num_attention_heads"
NAMES_KEY = "model.generator.class_names"
RECOMMENDED_KEYS = {
    "steps": "model.generator.num_steps",
    "guidance_scale": "model.generator.guidance_scale",
    "guidance_schedule": "model.generator.guidance_decay",
    "guidance_power": "model.generator.guidance_scale_pow",
    "temperature": "model.generator.randomize_temperature",
    "anneal": "model.generator.softmax_temperature_annealing",
}
OLD_SCHEDULES = {True: "linear", False: "constant"}  # in configs of the first version


def make_spec(name: str, shapes: Shapes, config: Mapping[str, Any] | None) -> GeneratorSpec:
    """The spec of a checkpoint with these tensor shapes and, if there is one, this config.

    Raises:
        KeyError: a tensor that every generator has is missing.
        ValueError: the config has an unusable value or contradicts the weights.
    """
    facts = _facts(shapes)
    config = config or {}
    for field, key in KEYS.items():
        value, found = look_up(config, key), facts[field]
        found = MODEL_TYPES[found] if field == "kind" else found
        if value is not None and value != found:
            raise ValueError(f"{key} is {shown(value)}, but the weights have {found}.")
    heads = look_up(config, HEADS_KEY)
    network = ViTSize(
        width=facts.pop("width"),
        layers=facts.pop("layers"),
        heads=HEADS if heads is None else heads,
    )
    spec = GeneratorSpec(name=name, network=network, **facts)
    spec = replace(spec, class_names=look_up(config, NAMES_KEY) or ())
    return replace(spec, recommended=_recommended(config, spec))


def config_of(spec: GeneratorSpec) -> dict[str, Any]:
    """A config.json that `make_spec` reads as this spec, complete and without references."""
    fields = {**vars(spec), **vars(spec.network), "kind": MODEL_TYPES[spec.kind]}
    values = {key: fields[field] for field, key in KEYS.items()}
    values |= {HEADS_KEY: spec.network.heads}
    best = spec.recommended
    values |= {key: getattr(best, field) for field, key in RECOMMENDED_KEYS.items()}
    if spec.class_names:
        values[NAMES_KEY] = list(spec.class_names)
    model: dict[str, Any] = {}
    for key, value in values.items():
        _, part, name = key.split(".")
        model.setdefault(part, {})[name] = value
    return {"model": model}


def _facts(shapes: Shapes) -> dict[str, Any]:
    """What the shapes tell: the fields of `KEYS`."""
    if "model.embeddings.word_embeddings.weight" in shapes:
        words = shapes["model.embeddings.word_embeddings.weight"][0]
        positions = shapes["model.embeddings.position_embeddings.weight"][0]
        codebook_size, width = shapes["model.lm_head.weight"]
        layers = count_modules(shapes, "model.encoder.layer.")
        hidden = shapes["model.encoder.layer.0.intermediate.dense.weight"][0]
        kind = "imagebert"
    elif "mid_block.attn.qkv.weight" in shapes:
        words, positions = shapes["embeddings.weight"][0], shapes["pos_embed"][1]
        codebook_size, width = shapes["lm_head.weight"]
        layers = 2 * count_modules(shapes, "in_blocks.")
        hidden = shapes["mid_block.mlp.fc1.weight"][0]
        kind = "uvitbert"
    else:
        raise KeyError("model.embeddings.word_embeddings.weight")
    return {
        "kind": kind,
        "num_tokens": positions - 1,
        "codebook_size": codebook_size,
        "num_classes": words - codebook_size - 2,
        "width": width,
        "layers": layers,
        "mlp_width": hidden,
    }


def _recommended(config: Mapping[str, Any], spec: GeneratorSpec) -> SamplingConfig:
    """What the config says; for the rest what the release with this network recommends."""
    same = (
        release.spec.recommended
        for release in RELEASES.values()
        if replace(spec, name=release.spec.name, recommended=release.spec.recommended)
        == release.spec
    )
    values = {field: look_up(config, key) for field, key in RECOMMENDED_KEYS.items()}
    schedule = values["guidance_schedule"]
    if isinstance(schedule, bool):
        values["guidance_schedule"] = OLD_SCHEDULES[schedule]
    return SamplingConfig(**values).resolved(next(same, USUAL))
