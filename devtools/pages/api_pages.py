"""The library's reference, `python dev.py docs`, made of its docstrings.

docs/api.md, committed, has a line for each public name; .dev/api has everything, as HTML made by
pdoc. A name that is new in `tokenopt_core.__all__` needs a place in `THEMES` (a test says so).
"""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
import typing
from pathlib import Path

from ..comfyui.layout import DEV, ROOT

OVERVIEW = ROOT / "docs" / "api.md"
HTML = DEV / "api"
# What pages and examples import from directly, beside the names of the package itself.
MODULES = ("losses.base", "tokens.text", "tokens.edits", "demo")
THEMES = {
    "Models": "load_tokenizer known_tokenizers save_tokenizer Tokenizer TokenizerSpec Quantized "
    "Posterior load_guide Guide load_text_encoder TextEncoder TextFeatures",
    "Optimize": "optimize OptimizeConfig Step RunState render RunRecorder",
    "Where to start": "random_features random_codes sample_features best_of embed_images "
    "similarities choose",
    "Generate": "generate SamplingConfig GenerationStep load_generator known_generators "
    "save_generator Generator GeneratorSpec class_labels class_names check_fit",
    "Losses": "Loss ClipLoss ClipImageLoss MaskedL1Loss MaskedL2Loss MaskedComposite "
    "TotalVariationLoss RangeLoss WeightedSum parse_prompt WeightedText feather",
    "Edit tokens": "copy_tokens blend_tokens set_codes attribute_vector add_attribute Attribute",
    "What a token does": "perturb_search SearchConfig Found importance Importance responses "
    "pixel_influence",
    "Keep and send": "codes_to_text text_to_codes exact_codes save_tokens load_tokens "
    "save_attribute load_attribute",
}
WORLD = "The demo world: `tokenopt_core.demo`"
HEAD = """# The library at a glance

Written by `python dev.py docs` from the docstrings; do not edit. The same command makes
`.dev/api/index.html`, which has all arguments, shapes and errors, and by its search the modules
`losses.base` (what a loss may have), `tokens.edits`, `tokens.text` and `demo`. How to begin:
[library.md](library.md).

Axes: b images, n tokens, d token size, h x w pixels, s the tokenizer's image size.
"""


def main() -> int:
    OVERVIEW.write_text(overview(), encoding="utf-8")
    problems = build(HTML)
    print(problems or f"{OVERVIEW.relative_to(ROOT)} and {HTML.relative_to(ROOT)}/index.html")
    return bool(problems)


def overview() -> str:
    """The text of docs/api.md."""
    package = importlib.import_module("tokenopt_core")
    demo = importlib.import_module("tokenopt_core.demo")
    tables = {t: [(n, getattr(package, n)) for n in names.split()] for t, names in THEMES.items()}
    # Constants have no docstring of their own.
    tables[WORLD] = [(n, f) for n in demo.__all__ if inspect.getmodule(f := getattr(demo, n))]
    lines = [HEAD]
    for theme, named in tables.items():
        lines += [f"## {theme}\n", "| name | |", "|---|---|"]
        lines += [f"| `{name}` | {first_sentence(thing)} |" for name, thing in named]
        lines.append("")
    return "\n".join(lines)


def first_sentence(thing: object) -> str:
    """Of a docstring, in one line; a table's sign is written so that it stays in its cell."""
    text = " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z])", text)[0].rstrip(".").replace("|", "\\|")


def build(folder: Path) -> str:
    """Makes the HTML; what pdoc complained about, "" if nothing."""
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "devtools.pages.api_pages",
        "--html",
        str(folder),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def write_html(folder: Path) -> None:
    """What `build` runs, in a process of its own: pdoc changes what it documents."""
    import pdoc

    modules = ["tokenopt_core", *(f"tokenopt_core.{name}" for name in MODULES)]
    for name in modules:
        importlib.import_module(name)
    loaded = [module for name, module in sys.modules.items() if name.startswith("tokenopt_core")]
    for thing in [thing for module in loaded for thing in vars(module).values()]:
        if hasattr(thing, "_fields"):  # a NamedTuple's constructor does not know its own module
            thing.__new__.__annotations__ = typing.get_type_hints(thing)
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*modules, output_directory=folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--html"]:
        write_html(Path(sys.argv[2]))
    else:
        sys.exit(main())
