"""Conversion of the hub layout's config.json to a `TokenizerSpec`, and back.

Only `model.vq_model`, the image size under `dataset.preprocessing` and our own `recommended`
count; the configs of the released models have much more. Values may be references like
"${model.vq_model.token_size}".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..checks import shown
from .infer import Shapes, infer_fields
from .spec import VIT_SIZES, PixelStage, Recommended, TokenizerSpec, ViTSize

REFERENCE = re.compile(r"\$\{([\w.]+)\}")
MAX_REFERENCES = 20

# Field of the spec -> key under model.vq_model. What a config leaves out is read from the weights.
KEYS = {
    "num_tokens": "num_latent_tokens",
    "token_size": "token_size",
    "codebook_size": "codebook_size",
    "l2_normalized": "use_l2_norm",
    "kind": "quantize_mode",
    "encoder": "vit_enc_model_size",
    "decoder": "vit_dec_model_size",
    "encoder_patch": "vit_enc_patch_size",
    "decoder_patch": "vit_dec_patch_size",
    "legacy": "is_legacy",
    "pixel_stage": "pixel_stage",
    "text_length": "text_context_length",
    "text_size": "text_embed_dim",
}
SWITCHES = ("use_l2_norm", "is_legacy", "finetune_decoder")
STAGE_FIELDS = tuple(PixelStage.__dataclass_fields__)
RECOMMENDED_FIELDS = tuple(Recommended.__dataclass_fields__)


def make_spec(name: str, shapes: Shapes, config: Mapping[str, Any] | None = None) -> TokenizerSpec:
    """The spec of a checkpoint with these tensor shapes and, if there is one, this config.

    Raises:
        KeyError: a tensor that every tokenizer has is missing.
        ValueError: the config has an unusable value or contradicts itself.
    """
    groups = look_up(config or {}, "model.vq_model.pixel_stage.norm_groups")
    fields = infer_fields(shapes) if groups is None else infer_fields(shapes, groups)
    if config is not None:
        fields |= _config_fields(config, fields)
        _check_size(fields, shapes)
    if fields["layout"] == "maskgit-vqgan":
        fields["num_tokens"] = (fields["image_size"] // fields["pixel_stage"].stride) ** 2
    return TokenizerSpec(name=name, **fields)


def config_of(spec: TokenizerSpec) -> dict[str, Any]:
    """A config.json that `make_spec` reads as this spec, complete and without references."""
    vq_model: dict[str, Any] = {}
    for field, key in KEYS.items():
        value = getattr(spec, field)
        if isinstance(value, ViTSize | PixelStage):
            value = asdict(value)
        if value is not None:
            vq_model[key] = value
    vq_model["finetune_decoder"] = spec.legacy
    return {
        "model": {"vq_model": vq_model},
        "dataset": {"preprocessing": {"crop_size": spec.image_size}},
        "recommended": asdict(spec.recommended),
    }


def _config_fields(config: Mapping[str, Any], inferred: Mapping[str, Any]) -> dict[str, Any]:
    names = {*KEYS.values(), *SWITCHES}
    values = {key: look_up(config, f"model.vq_model.{key}") for key in names}
    _check_switches(values, legacy=inferred.get("legacy"))
    fields = {field: values[key] for field, key in KEYS.items() if values[key] is not None}
    for side in ("encoder", "decoder"):
        if side in fields:
            fields[side] = _vit_size(KEYS[side], fields[side])
    if "pixel_stage" in fields:
        fields["pixel_stage"] = _pixel_stage(fields["pixel_stage"], inferred["pixel_stage"])
    recommended = {name: look_up(config, f"recommended.{name}") for name in RECOMMENDED_FIELDS}
    recommended = {name: value for name, value in recommended.items() if value is not None}
    size = look_up(config, "dataset.preprocessing.crop_size")
    if inferred["layout"] == "maskgit-vqgan":
        size = size or look_up(config, "model.vq_model.pixel_stage.resolution")
        fields = {field: value for field, value in fields.items() if field == "pixel_stage"}
    fields["recommended"] = Recommended(**recommended)
    if size is not None:
        fields["image_size"] = size
    if inferred["layout"] == "maskgit-vqgan":
        return fields
    if fields.get("kind", inferred["kind"]) == "vae":
        # Configs of VAEs may keep the settings of a codebook they do not have.
        fields |= {"codebook_size": None, "l2_normalized": False}
    if inferred["layout"] == "titok":
        fields |= {"text_length": None, "text_size": None}
    return fields


def look_up(config: Mapping[str, Any], path: str, depth: int = 0) -> Any:
    """The value at a dotted path, with references resolved; None where the path leads nowhere."""
    value: Any = config
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
        target = _target(value)
        if target is not None:
            if depth == MAX_REFERENCES:
                raise ValueError(
                    f"the references in config.json at {shown(path)} lead in a circle."
                )
            value = look_up(config, target, depth + 1)
            if value is None:
                raise ValueError(
                    f"{shown(path)} refers to {shown(target)}, which config.json does not have."
                )
    return value


def _target(value: Any) -> str | None:
    """The path that a reference names; None for any other value."""
    match = REFERENCE.fullmatch(value.strip()) if isinstance(value, str) else None
    return match[1] if match else None


def _vit_size(key: str, value: Any) -> ViTSize:
    if isinstance(value, str) and value in VIT_SIZES:
        return VIT_SIZES[value]
    if isinstance(value, Mapping) and {"width", "layers", "heads"} <= value.keys():
        return ViTSize(width=value["width"], layers=value["layers"], heads=value["heads"])
    raise ValueError(
        f"{key} is {shown(value)}, expected one of {', '.join(VIT_SIZES)} "
        "or an object with width, layers and heads."
    )


def _pixel_stage(value: Any, inferred: PixelStage | None) -> PixelStage | None:
    if not isinstance(value, Mapping):
        raise ValueError(
            f"pixel_stage is {shown(value)}, expected an object with {', '.join(STAGE_FIELDS)}."
        )
    if inferred is None:
        raise ValueError("pixel_stage is given, but the weights have no such stage: remove it.")
    return PixelStage(**(asdict(inferred) | {k: value[k] for k in STAGE_FIELDS if k in value}))


def _check_switches(values: Mapping[str, Any], legacy: bool | None) -> None:
    """Switches are true or false; finetune_decoder only repeats whether there is a pixel stage."""
    for key in SWITCHES:
        if values[key] is not None and not isinstance(values[key], bool):
            raise ValueError(f"{key} is {shown(values[key])}, expected true or false.")
    trained = values["finetune_decoder"]
    if trained is not None and legacy is not None and trained != legacy:
        raise ValueError(
            f"finetune_decoder is {trained}, but the weights have "
            f"{'a' if legacy else 'no'} pixel_decoder: expected {legacy}."
        )


def _check_size(fields: Mapping[str, Any], shapes: Shapes) -> None:
    """Refuse a network of more blocks than there are tensors, before an hour is spent on it."""
    towers = [fields[side] for side in ("encoder", "decoder") if fields.get(side)]
    blocks = sum(size.layers for size in towers)
    if fields.get("pixel_stage"):
        stage = fields["pixel_stage"]
        blocks += len(stage.channel_mult) * stage.num_res_blocks
    if blocks > len(shapes):
        raise ValueError(f"{blocks} blocks are described, but there are {len(shapes)} tensors.")
