"""`python dev.py check-weights` on stand-ins: small models in the layouts of the released ones."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from devtools.comfyui.layout import ROOT
from devtools.weights import __main__ as weights
from devtools.weights import pictures
from tests.unit.conftest import save_clip, tiny_tokenizer
from tokenopt_core.guides.files import CAPTION_ENCODER
from tokenopt_core.guides.text_encoder import load_text_encoder
from tokenopt_core.images.fit import fit_images
from tokenopt_core.tokenizers import RELEASES, Release, save_tokenizer

CLIP = {"text_length": 12, "text_size": 32}  # of the small caption encoder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_clip(tmp_path_factory.mktemp("encoder"))


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Puts a small tokenizer where a released one of this name would be."""

    def put(name: str, tokenizer):
        monkeypatch.setitem(RELEASES, name, Release(spec=tokenizer.spec, repo=f"lab/{name}"))
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        save_tokenizer(tokenizer, tmp_path / "models" / name)
        return tmp_path / "models"

    return put


@pytest.fixture
def images(tmp_path):
    """Pictures of colours and noise, each with a caption."""
    folder = tmp_path / "images"
    folder.mkdir()
    source = torch.Generator().manual_seed(4)
    for number in range(8):
        pixels = torch.rand(8, 8, 3, generator=source).mul(255).byte().numpy()
        Image.fromarray(pixels).resize((40, 36)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text("a red circle on the left\n", encoding="utf-8")
    return folder


def told(*arguments, **options) -> str:
    return "\n".join(weights.report(*map(str, arguments), **options))


def test_sound_files(release):
    models = release("titok-l32", tiny_tokenizer(name="titok-l32"))
    text = told("titok-l32", models=models)
    path = models / "titok-l32" / "model.safetensors"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert f"| model.safetensors | {path.stat().st_size} | {digest} | not asked (" in text
    assert "all there, and no others" in text
    assert "- all finite, the largest " in text
    assert "None were given" in text


def test_which_tensors_a_file_has(release):
    models = release("titok-l32", tiny_tokenizer(name="titok-l32"))
    path = models / "titok-l32" / "model.safetensors"
    tensors = load_file(path)
    del tensors["encoder.ln_post.bias"]
    tensors |= {"embed_prob": torch.ones(3), "latent_tokens": torch.zeros(2, 32)}
    tensors["decoder.ln_pre.bias"][0] = torch.nan
    save_file(tensors, path)
    text = told("titok-l32", models=models)
    assert "NOT as expected" in text
    assert "- missing: encoder.ln_post.bias\n" in text
    assert "- unknown: embed_prob\n" in text
    assert "- of another shape: latent_tokens (2, 32), expected (6, 32)\n" in text
    assert "- NaN or infinite numbers in decoder.ln_pre.bias\n" in text


def test_published_results(release, images, monkeypatch):
    """Those of the stand-in, with one code changed and one picture made darker."""
    tokenizer = tiny_tokenizer(name="titok-l32")
    models = release("titok-l32", tokenizer)
    tokens, codes = tokenizer.quantize(tokenizer.encode(pictures.read(images / "0.png")))
    again = tokenizer.decode(tokens)[0].clamp(0, 1).mul(255).byte().permute(1, 2, 0)
    (images / "shown").mkdir()
    Image.fromarray((again // 2).numpy()).save(images / "shown" / "0.png")
    expected = {
        "codes": [(int(codes[0, 0]) + 1) % 64, *codes[0, 1:].tolist()],
        "sha256_input": hashlib.sha256((images / "0.png").read_bytes()).hexdigest(),
        "reconstruction_png": "shown/0.png",
    }
    file = images / "expected.json"
    file.write_text(json.dumps({"images": {"0.png": expected, "absent.png": {}}}), "utf-8")
    monkeypatch.setattr(pictures, "PUBLISHED", file)
    text = told("titok-l32", models=models, images=images)
    assert "- 0.png: 5 of 6 codes as published; a pixel is 0." in text
    assert "absent" not in text
    assert "- 8 pictures reconstructed with " in text
    expected["sha256_input"] = "0"
    file.write_text(json.dumps({"images": {"0.png": expected}}), "utf-8")
    with pytest.raises(ValueError, match=r"0\.png is not the published file"):
        told("titok-l32", models=models, images=images)


@pytest.mark.parametrize("quick", [False, True])
def test_the_activation_with_which_a_tokenizer_was_trained(release, images, encoder, quick):
    """A stand-in learns to show the pictures with one of both and black with the other, which the
    report finds out."""
    tokenizer = tiny_tokenizer(name="tatitok-bl32-vq", layout="tatitok", **CLIP)
    towers = [load_text_encoder(encoder, each) for each in (quick, not quick)]
    text, other = (tower.encode_text(["a red circle on the left"]).guidance for tower in towers)
    look_at_the_difference(tokenizer, text[0], other[0])
    batch = torch.cat([pictures.read(images / f"{k}.png") for k in range(8)])
    batch = fit_images(batch, tokenizer.spec.image_size)
    tokens = tokenizer.quantize(tokenizer.encode(batch)).tokens
    tokenizer.decoder.requires_grad_(True)
    adam = torch.optim.Adam(tokenizer.decoder.parameters(), lr=3e-3)
    for _ in range(150):
        shown, wrong = tokenizer.decode(tokens, text), tokenizer.decode(tokens, other)
        adam.zero_grad()
        ((shown - batch).square().mean() + wrong.square().mean()).backward()
        adam.step()
    models = release("tatitok-bl32-vq", tokenizer.requires_grad_(False))
    found = told("tatitok-bl32-vq", models=models, images=images, encoder=encoder)
    name = "quick GELU" if quick else "GELU"
    assert f"- {name} is closer in 8 of 8 (by chance: 0.0078): this tokenizer was trained" in found
    assert found.endswith(f"with {name}")


def look_at_the_difference(tokenizer, text, other) -> None:
    """Lets its decoder see of the texts (t, e) where they differ most: of the two activations it is
    a hundredth, which takes a real one long to learn from."""
    difference = text - other
    place = difference.norm(dim=1).argmax()
    way = difference[place] / difference[place].square().sum()
    layer = tokenizer.decoder.text_guidance_proj
    layer.weight.copy_(2 * torch.linspace(-1, 1, layer.out_features)[:, None] * way)
    layer.bias.copy_(-layer.weight @ (text[place] + other[place]) / 2)


def test_few_pictures_settle_nothing(release, images, encoder):
    for path in sorted(images.glob("*.txt"))[3:]:
        path.unlink()
    tokenizer = tiny_tokenizer(name="tatitok-bl32-vq", layout="tatitok", **CLIP)
    models = release("tatitok-bl32-vq", tokenizer)
    text = told("tatitok-bl32-vq", models=models, images=images, encoder=encoder)
    assert "- 3 captioned pictures with quick GELU: " in text
    assert "of 3 (by chance: " in text
    assert text.endswith("not settled, more pictures are needed")


def test_a_caption_encoder(encoder):
    text = told(encoder)
    assert "no repository of it is known" in text
    assert "of the architecture" in text
    assert "all there, and no others" in text
    vision = sum(
        key.startswith("visual.") for key in load_file(next(encoder.glob("*.safetensors")))
    )
    assert (
        f"- besides, of parts that are not loaded: 1 of logit_scale, {vision} of visual\n" in text
    )


def test_the_command_line(release, images):
    """As `dev.py` calls it, on a folder in hub layout; and what it says to a wrong name."""
    models = release("stand-in", replace_name(tiny_tokenizer()))
    run = [sys.executable, "-m", "devtools.weights"]
    folder = models / "stand-in"
    done = subprocess.run(
        [*run, str(folder), "--images", str(images)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("## Weights of stand-in\n")
    assert "| config.json |" in done.stdout
    assert "8 pictures reconstructed with" in done.stdout
    done = subprocess.run([*run, "titok-l33"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert "NAME is 'titok-l33', expected a released tokenizer (like titok-l32" in done.stdout
    assert CAPTION_ENCODER in done.stdout


def replace_name(tokenizer):
    tokenizer.spec = replace(tokenizer.spec, name="stand-in")
    return tokenizer
