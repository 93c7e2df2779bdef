"""The pages for readers: what they list is all there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from tokenopt_core import generators
from tokenopt_core.guides.files import KNOWN_GUIDES
from tokenopt_core.tokenizers.registry import RELEASES
from tokenopt_core.tokenizers.titok import TiTok
from tokenopt_core.tokenizers.vqgan import MaskGitVqgan

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def table(page: str, first: str) -> dict[str, list[str]]:
    """First cell (in backticks) -> the other cells, of all tables whose first head is `first`."""
    text = (DOCS / page).read_text(encoding="utf-8")
    bodies = re.findall(rf"^\| {first} \|.*\n\| -.*\n((?:\|.*\n?)+)", text, flags=re.M)
    lines = [line for body in bodies for line in body.splitlines()]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_the_readme_leads_to_every_page():
    linked = set(LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT).as_posix() for path in DOCS.glob("*.md")}
    assert pages - linked <= {"docs/publishing.md"}  # for the publisher of the pack


def test_every_template_is_listed_with_its_thumbnail():
    listed = table("templates.md", "template")
    assert set(listed) == {path.stem for path in (ROOT / "workflows").glob("*.json")}
    for name, (thumbnail, what, change) in listed.items():
        assert thumbnail == f"![](../workflows/{name}.jpg)"
        assert what
        assert change


def test_every_model_is_listed_as_it_is():
    listed = table("models.md", "name")
    assert set(listed) == {"demo", *RELEASES}
    for name, release in RELEASES.items():
        spec = release.spec
        tokens, codebook, parameters, size = listed[name][:4]
        assert int(tokens) == spec.num_tokens
        entries = f"{spec.codebook_size} x {spec.token_size}"
        assert codebook == (entries if spec.codebook_size else "none (VAE)")
        assert float(size.removesuffix(" GB")) == pytest.approx(
            float(parameters) * 0.004, abs=0.006
        )


@pytest.mark.parametrize("name", ["titok-s128", "tatitok-sl128-vae", "maskgit-vqgan"])
def test_the_parameters_are_counted(name):
    spec = RELEASES[name].spec
    kind = MaskGitVqgan if spec.layout == "maskgit-vqgan" else TiTok
    with torch.device("meta"):
        count = sum(tensor.numel() for tensor in kind(spec).state_dict().values())
    assert float(table("models.md", "name")[name][2]) == pytest.approx(count / 1e6, abs=0.06)


def test_every_generator_is_listed_as_it_is():
    listed = table("models.md", "generator")
    assert set(listed) == set(generators.known_generators())
    for name, release in generators.RELEASES.items():
        spec = release.spec
        with torch.device("meta"):
            state = generators.build_generator(spec).state_dict()
        millions = sum(tensor.numel() for tensor in state.values()) / 1e6
        tokens, classes, parameters, size = listed[name][:4]
        assert (int(tokens), int(classes)) == (spec.num_tokens, spec.num_classes)
        assert float(parameters) == pytest.approx(millions, abs=0.06)
        assert float(size.removesuffix(" GB")) == pytest.approx(millions * 0.004, abs=0.006)


def test_every_guide_is_listed():
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    guides = re.findall(r"^\| `([\w./-]+)` \| [\d.]+ \| [\d.]+ [GM]B \|", page, flags=re.M)
    assert tuple(guides) == KNOWN_GUIDES
