"""Texts of the nodes for ComfyUI's pages: locales/<language>/nodeDefs.json.

`python -m devtools.pages.locales` writes the English file from the nodes and says what the
translations lack. A page looks up a text's key in its language and shows the node's own words where
there is none. ComfyUI 0.3.75's page reads texts as messages, in which { } @ and | mean something,
later ones read them as they are: no text may have one of these, and English ones that do are
left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..comfyui.layout import ROOT
from ..comfyui.schemas import read_schemas

LOCALES = ROOT / "locales"
TRANSLATED = ("zh", "ja")
SPECIAL = "{}@|"

Texts = dict[str, dict]


def english(schemas: dict[str, dict], *, whole: bool = False) -> Texts:
    """nodeDefs.json of what /object_info says about the nodes; `whole`: with what is left out."""
    texts = {node: _texts(said) for node, said in sorted(schemas.items())}
    return texts if whole else _plain_only(texts)


def load(language: str, name: str = "nodeDefs") -> Texts:
    return json.loads((LOCALES / language / f"{name}.json").read_text(encoding="utf-8"))


def save(language: str, texts: Texts) -> None:
    file = LOCALES / language / "nodeDefs.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(texts, ensure_ascii=False, indent=2)
    file.write_text(text + "\n", encoding="utf-8", newline="\n")


def flat(texts: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text with the keys that lead to it."""
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from flat(value, (*path, key))
        else:
            yield (*path, key), value


def inputs_of(said: dict) -> dict[str, tuple[str, dict]]:
    """Input id -> its type and settings, of a node in /object_info."""
    inputs = {}
    for group in ("required", "optional"):
        for name, (kind, *settings) in said["input"].get(group, {}).items():
            inputs[name] = ("COMBO" if isinstance(kind, list) else kind, *(settings or [{}]))
    return inputs


def plain(text: str) -> bool:
    """Whether every page shows it as it is."""
    return not any(letter in text for letter in SPECIAL)


def _texts(said: dict) -> Texts:
    inputs = {
        name.replace(".", "_"): {"name": name, "tooltip": settings.get("tooltip", "")}
        for name, (_, settings) in inputs_of(said).items()
    }
    tooltips = said["output_tooltips"] or [""] * len(said["output_name"])
    outputs = {
        str(number): {"name": name, "tooltip": tooltip or ""}
        for number, (name, tooltip) in enumerate(zip(said["output_name"], tooltips, strict=True))
    }
    names = {"display_name": said["display_name"], "description": said["description"]}
    return {**names, "inputs": inputs, "outputs": outputs}


def _plain_only(texts: dict) -> dict:
    return {
        key: _plain_only(value) if isinstance(value, dict) else value
        for key, value in texts.items()
        if isinstance(value, dict) or plain(value)
    }


def main() -> None:
    schemas = read_schemas()
    save("en", english(schemas))
    wanted = {path for path, _ in flat(english(schemas, whole=True))}
    for language in TRANSLATED:
        there = {path for path, _ in flat(load(language))}
        for path in sorted(wanted - there):
            print(f"{language} lacks {'.'.join(path)}")


if __name__ == "__main__":
    main()
