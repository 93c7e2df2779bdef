"""Workflows of strangers: no name in them reads or writes outside of ComfyUI's folders.

Beside the server's folders lies one with everything that a node could read, and a watch on it and
on all that is not output, temp or user: read times of its files, and what there is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from devtools.comfyui.checks import WORDS, node
from devtools.comfyui.client import PromptRefused
from tests.server.neighbours import calls

OWN = ("output", "temp", "user")  # where the server may write
SECRET = "secret"
# Every input that names a file, a folder or a model; a new one must come in here, see below.
NAMING = {
    ("TokenOpt_SaveImage", "filename_prefix"): "",
    ("TokenOpt_SaveTokens", "filename_prefix"): "",
    ("TokenOpt_SaveAttribute", "filename_prefix"): "",
    ("TokenOpt_LoadTokens", "file"): ".tokens.safetensors",
    ("TokenOpt_LoadAttribute", "file"): ".attribute.safetensors",
    ("TokenOpt_SavedImageTokens", "image"): ".png",
    ("TokenOpt_SeedRetrieval", "folder"): "/",
    ("TokenOpt_Importance", "folder"): "/",
    ("TokenOpt_LoadTokenizer", "tokenizer"): "/tokenizer",
    ("TokenOpt_LoadGuide", "model"): "/guide",
    ("TokenOpt_LoadCaptionEncoder", "model"): "/guide",
}
WORDS_OF_NAMES = ("file", "folder", "path", "image", "model", "tokenizer", "guide", "prefix", "url")
# What else has such a word and is a text or menu: choices of a few words each.
OTHERS = {("TokenOpt_EasyTextEdit", "models"), ("TokenOpt_EasyInpaint", "models")}


class Outside(NamedTuple):
    """A folder beside the server's own, and how to name a file in it from the inside."""

    folder: Path
    base: Path

    def seen(self) -> dict[str, tuple[int, int]]:
        """Of everything that nobody may touch: when it was written and read."""
        found = {}
        for root in (self.folder, self.base):
            for place, folders, files in os.walk(root):
                if Path(place) == self.base:
                    folders[:] = [name for name in folders if name not in (*OWN, "custom_nodes")]
                for name in [*folders, *files]:
                    path = Path(place, name)
                    facts = path.lstat()
                    read = facts.st_atime_ns if root == self.folder and path.is_file() else 0
                    found[str(path)] = (facts.st_mtime_ns, read)
        return found


@pytest.fixture(scope="module")
def outside(server) -> Iterator[Outside]:
    """Sound files of every kind beside the base folder, with links to them in the base folder."""
    from tokenopt_core.guides.guide import DEMO_GUIDE
    from tokenopt_core.tokenizers import load_tokenizer, save_tokenizer
    from tokenopt_core.tokens.files import save_tokens

    folder = server.base.parent / f"{server.base.name}-outside"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tokenizer = load_tokenizer("demo")
    save_tokenizer(tokenizer, folder / "tokenizer")
    shutil.copytree(DEMO_GUIDE, folder / "guide")
    tokens = tokenizer.quantize(tokenizer.quantize.embedding.weight[:16][None]).tokens
    save_tokens(folder / f"{SECRET}.tokens.safetensors", tokenizer, tokens, True, "demo")
    shutil.copy(folder / f"{SECRET}.tokens.safetensors", folder / f"{SECRET}.attribute.safetensors")
    text = PngInfo()
    text.add_text("tokenopt_codes", "tok1.demo.x")
    Image.new("RGB", (64, 64)).save(folder / f"{SECRET}.png", pnginfo=text)
    for file in folder.rglob("*"):  # read times are noted where they are older than the writing
        os.utime(file, (1, os.stat(file).st_mtime))
    links = [server.base / place / "away" for place in ("input", "output")]
    for link in links:
        link.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # Windows wants an administrator for it
            link.symlink_to(folder, target_is_directory=True)
    yield Outside(folder, server.base)
    for link in links:
        link.unlink(missing_ok=True)
    shutil.rmtree(folder)


def test_the_watch_sees_a_read_and_a_write(outside):
    before = outside.seen()
    (outside.folder / f"{SECRET}.png").read_bytes()
    (outside.base / "input" / "x").write_text("")
    changed = {Path(p).name for p in outside.seen() if outside.seen()[p] != before.get(p)}
    (outside.base / "input" / "x").unlink()
    notes_reads = os.stat(outside.folder / f"{SECRET}.png").st_atime != 1  # not every disk does
    assert changed >= {"x", *[f"{SECRET}.png"] * notes_reads}
    os.utime(outside.folder / f"{SECRET}.png", (1, 1))


def names(outside: Outside, suffix: str) -> dict[str, str]:
    """Ways to name the secret, by kind, for an input whose files end like this."""
    folder, name = outside.folder, suffix if suffix.startswith("/") else f"/{SECRET}{suffix}"
    relative = f"../../{folder.name}{name}"
    return {
        "up": relative,
        "up in the middle": f"x/../{relative}",
        "up with backslashes": relative.replace("/", "\\"),
        "absolute": f"{folder}{name}",
        "marked": f"{relative} [output]",
        "drive": f"C:\\Windows{name}",
        "server": f"\\\\127.0.0.1\\c$\\x{name}",
        "long": f"\\\\?\\C:\\x{name}",
        "file URL": f"file://{folder}{name}",
        "hub": f"hf-hub:../../{folder.name}{name}",
        "null byte": f"{SECRET}\0{suffix}",
        "half a character": f"{SECRET}\ud800{suffix}",
        "link": f"away{name}",
        "link marked": f"away{name} [output]",
        "device": "/dev/zero",
    }


KINDS = list(names(Outside(Path("x"), Path("y")), ""))
# On Linux an ordinary file name, which a save may write inside the output folder.
PLAIN_WHERE_SAVED = ("file URL", "hub")


def graph(workflow, name: str, key: str, value: str) -> dict:
    """The node with this input, and whatever it needs."""
    edit = {number: item for number, item in workflow("text_edit").items() if number in "1234"}
    link = {"tokenizer": ["1", 0]}
    more = {
        "TokenOpt_SaveImage": {"images": ["3", 0]},
        "TokenOpt_SaveTokens": {**link, "tokens": ["4", 0]},
        "TokenOpt_SaveAttribute": {"attribute": ["81", 0]},
        "TokenOpt_SeedRetrieval": {
            "guide": ["2", 0],
            "prompts": "a red star",
            "choose": "best",
            "percent": 0.0,
            "seed": 0,
            "size": 64,
        },
        "TokenOpt_Importance": {**link, "guide": ["2", 0], "prompts": "red\nblue"},
        "TokenOpt_LoadTokenizer": {},
        "TokenOpt_LoadGuide": {},
        "TokenOpt_LoadCaptionEncoder": {},
    }.get(name, link)
    edit["82"] = node("TokenOpt_RandomTokens", **link, seed=0, batch_size=1, scale=1.0)
    edit["81"] = node(
        "TokenOpt_AttributeVector", **link, tokens_with=["4", 0], tokens_without=["82", 0]
    )
    edit["90"] = node(name, **more, **{key: value})
    edit["91"] = node("Hostile_Digest", value=["90", 0], nonce=0)
    if name.startswith("TokenOpt_Save") and name != "TokenOpt_SavedImageTokens":
        del edit["91"]
    return edit


@pytest.mark.parametrize("kind", KINDS)
def test_no_name_leads_outside(client, workflow, outside, kind):
    before = outside.seen()
    for (name, key), suffix in NAMING.items():
        value = names(outside, suffix)[kind]
        try:
            run = client.run(graph(workflow, name, key, value))
        except PromptRefused:
            continue
        if run.status == "success":
            assert key == "filename_prefix", (name, value)
            assert kind in PLAIN_WHERE_SAVED, (name, value)
            continue
        message = run.error["exception_message"].strip()
        assert run.error["exception_type"] == "ValueError", (name, message)
        assert run.error["node_type"] == name, message
        assert key in message, message
        assert len(message.split()) <= WORDS, message
        assert str(outside.base) in value or str(outside.base) not in message, message
    assert outside.seen() == before


def test_a_disk_that_refuses_a_file_is_told_without_our_path(client, workflow, outside):
    """A file is where the folder should be, which stops an administrator too."""
    (outside.base / "output" / "taken").write_text("")
    for name, key in NAMING:
        if key == "filename_prefix":
            run = client.run(graph(workflow, name, key, "taken/x"))
            message = run.error["exception_message"].strip()
            assert run.error["exception_type"] == "ValueError", message
            assert "filename_prefix is 'taken/x', where nothing can be written" in message
            assert str(outside.base) not in message


def test_every_input_that_names_something_is_tried(client):
    """By its name: a new node's new file input must be in NAMING."""
    found = set()
    for name, info in client.object_info().items():
        if name.startswith("TokenOpt_"):
            for group in ("required", "optional"):
                for key, (kind, *_) in info["input"].get(group, {}).items():
                    text = kind in ("STRING", "COMBO") or isinstance(kind, list)
                    if text and any(word in key for word in WORDS_OF_NAMES):
                        found.add((name, key))
    assert found == set(NAMING) | OTHERS


def test_no_text_of_any_node_leads_outside(client, edit, outside):
    """What has no telling name too: every text and choice of every node is given a path."""
    before = outside.seen()
    made = calls(client, edit, "STRING,COMBO", texts={"absolute": str(outside.folder)})
    assert len(made) > 100
    crashed = [call for call in made if call.error not in ("", "ValueError")]
    assert not crashed, "\n".join(map(str, crashed[:10]))
    assert outside.seen() == before
