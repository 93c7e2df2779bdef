"""Writes trained checkpoints as the files that the pack ships: fp16 safetensors, hub layout."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from tokenopt_core.tokenizers.config import config_of

from .attention import plain_attention
from .classifiers import FeatureNet, JudgeTask
from .clip import CONTEXT, MEAN, MODEL, STD, ClipTask, word_tokenizer
from .scenes import ScenePool
from .tokenizer import SPEC, TokenizerTask, export


def half(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with its floating tensors in fp16, contiguous."""
    return {
        k: (v.half() if v.is_floating_point() else v).detach().contiguous().clone()
        for k, v in state.items()
    }


def write_weights(state: dict[str, Tensor], path: Path) -> None:
    """Saves `state` in fp16; the file is replaced only once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    save_file(half(state), partial, metadata={"format": "pt"})
    partial.chmod(0o644)
    partial.replace(path)


def write_json(value: object, path: Path) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def export_tokenizer(task: TokenizerTask, folder: Path) -> None:
    """The averaged tokenizer as `config.json` and `model.safetensors`."""
    model = export(task.average)
    model.quantize.embedding.weight.data.copy_(task.model.quantize.embedding.weight)
    write_weights(model.state_dict(), folder / "model.safetensors")
    write_json(config_of(SPEC), folder / "config.json")


def export_clip(task: ClipTask, folder: Path) -> None:
    """The averaged CLIP as an open_clip folder with its own tokenizer."""
    write_weights(task.average.module.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {
        "mean": [MEAN] * 3,
        "std": [STD] * 3,
        "interpolation": "bilinear",
        "resize_mode": "shortest",
    }
    write_json({"model_cfg": MODEL, "preprocess_cfg": preprocess}, folder / "open_clip_config.json")
    word_tokenizer().save(str(folder / "tokenizer.json"))
    special = {"bos_token": "[BOS]", "eos_token": "[EOS]", "pad_token": "[PAD]"}
    write_json(
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **special,
            "unk_token": "[UNK]",
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
        },
        folder / "tokenizer_config.json",
    )


def export_judge(task: JudgeTask, folder: Path) -> None:
    """The averaged judge."""
    write_weights(task.average.module.state_dict(), folder / "model.safetensors")


@torch.no_grad()
def reconstructed(pool: ScenePool, tokenizer, network: FeatureNet, n: int, seed: int) -> ScenePool:
    """Scenes as the tokenizer shows them: those of `n` in which `network` still sees everything.

    A picture that no longer shows what its caption says would teach CLIP to see it nevertheless.
    """
    generator = torch.Generator().manual_seed(seed)
    images, indices = [], []
    for _ in tqdm(range(0, n, 250), desc="reconstruct scenes", unit_scale=250):
        scenes, attributes = pool.batch(250, generator)
        with torch.autocast("cpu", torch.bfloat16), plain_attention():
            shown = tokenizer.decode(tokenizer.quantize(tokenizer.encode(scenes)).tokens)
            shown = shown.float().clamp(0, 1)
            seen = torch.stack([logits.argmax(1) for logits in network(shown)], dim=1)
        kept = (seen == attributes).all(1)
        images.append((shown[kept] * 255).round().byte())
        indices.append(attributes[kept])
    return ScenePool(torch.cat(images), torch.cat(indices))
