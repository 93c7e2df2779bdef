"""Who may import whom: the library stands alone, the pack imports itself relatively and lazily."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "server"}
HEAVY = {"huggingface_hub", "open_clip", "safetensors", "timm", "torchvision", "transformers"}
OWN = {"nodes", "tokenopt_core"}


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Level (0 = absolute) and module name of every import below a syntax tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def module_level(tree: ast.Module) -> ast.Module:
    """The statements that run when a file is imported: no function bodies, no TYPE_CHECKING."""
    kept = [
        node
        for node in tree.body
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    classes = [node for node in kept if isinstance(node, ast.ClassDef)]
    inside = [s for c in classes for s in c.body if not isinstance(s, ast.FunctionDef)]
    return ast.Module([n for n in kept if n not in classes] + inside, [])


def pack_files(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", pack_files("tokenopt_core"), ids=place)
def test_library_knows_nothing_of_comfyui_and_the_nodes(path):
    depth = len(path.relative_to(ROOT / "tokenopt_core").parts)
    for level, module in imports(parse(path)):
        assert module.split(".")[0] not in COMFYUI | {"nodes"}, module
        assert level <= depth, f"leaves tokenopt_core: {'.' * level}{module}"


@pytest.mark.parametrize("path", pack_files("nodes", "tokenopt_core"), ids=place)
def test_imports_inside_the_pack_are_relative(path):
    for level, module in imports(parse(path)):
        assert level or module.split(".")[0] not in OWN, module


@pytest.mark.parametrize("path", pack_files("nodes", "tokenopt_core"), ids=place)
def test_heavy_libraries_are_imported_only_when_used(path):
    for level, module in imports(module_level(parse(path))):
        assert level or module.split(".")[0] not in HEAVY, module


@pytest.mark.parametrize("path", pack_files("nodes"), ids=place)
def test_only_one_file_imports_comfyui(path):
    for _, module in imports(parse(path)):
        assert path.name == "compat.py" or module.split(".")[0] not in COMFYUI, module


def test_root_file_imports_nothing_when_loaded():
    assert not list(imports(module_level(parse(ROOT / "__init__.py"))))


def test_library_import_loads_nothing_heavy():
    code = (
        "import sys, tokenopt_core, tokenopt_core.guides, tokenopt_core.optimize, "
        "tokenopt_core.tokenizers, tokenopt_core.demo\n"
        f"sys.exit(', '.join({HEAVY!r} & set(sys.modules)) or None)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
