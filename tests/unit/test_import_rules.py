"""Who may import whom: the library stands alone, the pack imports itself relatively and lazily, and
imports run downward from room to room and never in a circle."""

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
# The rooms, bottom first: a file imports from its own room and from floors below it. The folder's
# own `__init__.py` is the roof, from which nobody imports.
LAYERS = {
    "tokenopt_core": (
        "checks",
        "compute files",
        "hub images",
        "demo",
        "guides tokenizers",
        "generators losses tokens",
        "optimize study",
    ),
    "nodes": (
        "host report",
        "attributes files images loaders losses",
        "guides optimize study tokens",
        "easy editing sweep",
    ),
    "benchmarks": (
        "command images markdown scenes stats",
        "attributes science screen soak speed tokens",
        "gpu_check",
    ),
    "devtools": (
        "sheets steps verdict",
        "comfyui",
        "demo pages release templates weights",
        "help_pictures",
    ),
}


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


def own_imports(package: Path) -> dict[Path, list[tuple[int, Path]]]:
    """File -> line and imported file of each of its imports inside `package`, also of those that
    are made later, in a function."""
    found: dict[Path, list[tuple[int, Path]]] = {}
    for path in sorted(package.rglob("*.py")):
        found[path] = []
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ImportFrom) and node.level:
                module = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
                named = [
                    module_file(module / each.name) or module_file(module) for each in node.names
                ]
                inside = {file for file in named if file and file.is_relative_to(package)}
                found[path] += [(node.lineno, file) for file in sorted(inside)]
    return found


def module_file(name: Path) -> Path | None:
    """The file of a module without its suffix."""
    files = (name.with_name(f"{name.name}.py"), name / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def room_of(path: Path, package: Path) -> str:
    """The first folder, or file, below `package`; "" for its own `__init__.py`."""
    room = path.relative_to(package).parts[0].removesuffix(".py")
    return "" if room == "__init__" else room


def not_downward(package: Path, layers: tuple[str, ...]) -> list[str]:
    """A sentence about each import that does not lead to a floor below."""
    floors = {room: floor for floor, rooms in enumerate(layers) for room in rooms.split()}
    floors[""] = len(layers)
    offenders = []
    for path, targets in own_imports(package).items():
        for line, target in targets:
            own, other = room_of(path, package), room_of(target, package)
            if own != other and floors[own] <= floors[other]:
                where = "next to" if floors[own] == floors[other] else "above"
                name = target.relative_to(package).as_posix()
                file = path.relative_to(package).as_posix()
                offenders.append(
                    f"{file}:{line} imports {name}: {other or 'the roof'} is {where} {own}"
                )
    return offenders


def circles(package: Path) -> list[str]:
    """Each first circle of imports that a walk from file to file meets, as "a > b > a"."""
    graph = {path: [target for _, target in all_] for path, all_ in own_imports(package).items()}
    done: set[Path] = set()
    found = []

    def walk(path: Path, way: list[Path]) -> None:
        if path in way:
            circle = [*way[way.index(path) :], path]
            found.append(" > ".join(each.relative_to(package).as_posix() for each in circle))
        elif path not in done:
            for target in graph[path]:
                walk(target, [*way, path])
            done.add(path)

    for path in graph:
        walk(path, [])
    return found


@pytest.mark.parametrize("folder", LAYERS)
def test_every_room_has_its_floor(folder):
    rooms = {room_of(path, ROOT / folder) for path in pack_files(folder)} - {""}
    assert sorted(rooms) == sorted(" ".join(LAYERS[folder]).split())


@pytest.mark.parametrize("folder", LAYERS)
def test_imports_run_downward(folder):
    assert not not_downward(ROOT / folder, LAYERS[folder])


@pytest.mark.parametrize("folder", LAYERS)
def test_no_files_import_each_other_in_a_circle(folder):
    assert not circles(ROOT / folder)


def test_an_import_upward_sideways_or_in_a_circle_is_named(tmp_path):
    """A house of three rooms on two floors, with one wrong import of each kind."""
    sources = {
        "__init__.py": "from .attic.roof import x\n",
        "attic/roof.py": "from ..cellar import wine\nfrom ..kitchen.pan import y\n",
        "cellar/__init__.py": "",
        "cellar/wine.py": "import os\n\ndef late():\n    from ..attic.roof import x\n",
        "kitchen/pan.py": "from ..cellar.wine import z\nfrom . import pot\nfrom .. import x\n",
        "kitchen/pot.py": "from .pan import y\n",
    }
    for name, source in sources.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    assert not_downward(tmp_path, ("cellar kitchen", "attic")) == [
        "cellar/wine.py:4 imports attic/roof.py: attic is above cellar",
        "kitchen/pan.py:1 imports cellar/wine.py: cellar is next to kitchen",
        "kitchen/pan.py:3 imports __init__.py: the roof is above kitchen",
    ]
    assert "kitchen/pan.py > kitchen/pot.py > kitchen/pan.py" in circles(tmp_path)
    assert any("cellar/wine.py > attic/roof.py" in circle for circle in circles(tmp_path))


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
