"""One command for everything: `python dev.py demo | test | bench | serve | env | lint | docs ...`.

Makes .venv (the environment) and .dev (a real ComfyUI and its folders) inside this repository: some
minutes at the first run, seconds later. Needs Python 3.10 or newer and nothing else; the same on
Linux, macOS and Windows. Delete both folders to start afresh.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from devtools.comfyui.wheels import comfyui_from_wheel, frontend_from_wheel
from devtools.steps import Problem, program, run, say, step

MINIMUM_PYTHON = (3, 10)
TEST_WORKERS = 2  # each has a ComfyUI server and a browser of its own
# Other processors, imitated by the kernels that torch's libraries may use; what depends on them is
# tested, that is not the browser's pages.
NUMERICS = {
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "default": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
    "one-thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
}
NUMERIC_TESTS = ["tests/unit", "tests/parity", "tests/demo", "tests/server/test_server.py"]


def main(arguments: list[str]) -> int:
    options, rest = _parse(arguments)
    if sys.version_info < MINIMUM_PYTHON:
        version = ".".join(map(str, sys.version_info[:3]))
        raise Problem(
            f"Python 3.10 or newer is needed, this is {version}: start it with a newer one."
        )
    os.environ["TOKENOPT_CALLED_FROM"] = os.getcwd()
    os.chdir(Path(__file__).resolve().parent)
    python = _environment(options.comfyui)
    comfyui = Path(options.comfyui).resolve() if options.comfyui else comfyui_from_wheel(python)
    os.environ["TOKENOPT_COMFYUI"] = str(comfyui)
    frontend_from_wheel(python)
    _prepare_base()
    return options.command(python, options, rest)


def _parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument(
            "--comfyui", metavar="DIR", help="use this ComfyUI instead of the pinned one"
        )
        sub.set_defaults(command=run, takes_rest=name in ("test", "bench", "check-weights"))
        return sub

    command("demo", demo, "edit an image by text in a real ComfyUI; the result is in demo_output/")
    test_options = command("test", test, "lint and all tests; further arguments go to pytest")
    test_options.add_argument(
        "--numerics",
        choices=NUMERICS,
        help="imitate another processor; without further arguments only tests of numbers run",
    )
    command("bench", bench, "measure speed; further arguments (--quick, --json FILE) go to it")
    serve_options = command("serve", serve, "open ComfyUI with this pack in your browser")
    serve_options.add_argument("--port", type=int, help="port to listen on (default: a free one)")
    serve_options.add_argument("--no-browser", action="store_true", help="only print the address")
    command("env", env, "prepare everything; the last line is the path of the environment's Python")
    command("lint", lint, "ruff check and ruff format --check")
    command("docs", docs, "the library's reference from its docstrings: docs/api.md and .dev/api")
    command("registry", registry, "check the pack as ComfyUI's registry does, before a version")
    command(
        "templates", templates, "save workflows/*.json anew from workflows/api/ by the front end"
    )
    text = "report on released weights: NAME, and if wanted --models, --images and --encoder DIR"
    command("check-weights", check_weights, text)
    options, rest = parser.parse_known_args(arguments)
    if rest and not options.takes_rest:
        parser.error(f"unknown arguments: {' '.join(rest)}")
    return options, rest


# --- the commands -----------------------------------------------------------------------------


def demo(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    return _call(python, "-m", "devtools.demo")


def serve(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    port = ["--port", str(options.port)] if options.port else []
    return _call(
        python, "-m", "devtools.comfyui.serve", *port, *["--no-browser"] * options.no_browser
    )


def bench(python: Path, options: argparse.Namespace, rest: list[str]) -> int:
    return _call(python, "-m", "benchmarks.speed", *rest)


def env(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    print(python)
    return 0


def templates(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    _browser(python)
    return _call(python, "-m", "devtools.templates.make")


def lint(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    check = _call(python, "-m", "ruff", "check", ".")
    return _call(python, "-m", "ruff", "format", "--check", ".") or check


def test(python: Path, options: argparse.Namespace, rest: list[str]) -> int:
    """Lint first (seconds), then pytest, whose closing line ends the output."""
    if options.numerics:
        os.environ.update(NUMERICS[options.numerics])
    if options.numerics and not rest:
        rest = [*NUMERIC_TESTS, "-n", str(TEST_WORKERS), "--dist", "loadfile"]
    else:
        _browser(python)
    unclean = lint(python, options, [])
    if unclean:
        say("ruff found something (see above), so this run fails whatever the tests say.")
    if rest:
        say("pytest has its own arguments, so no group of tests is required to have run.")
        tests = _call(python, "-m", "pytest", *rest)
    else:
        # In the order of the names: the browser's first, on servers that no bad request has met.
        workers = ["-n", str(TEST_WORKERS), "--dist", "loadfile", "--no-loadscope-reorder"]
        groups = ["--require", "server,parity,browser", "--durations", "10"]
        tests = _call(python, "-m", "pytest", "tests", *workers, *groups)
    return tests or unclean


def docs(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    return _call(python, "-m", "devtools.pages.api_pages")


def registry(python: Path, options: argparse.Namespace, _rest: list[str]) -> int:
    return _call(python, "-m", "devtools.release.registry", "check")


def check_weights(python: Path, options: argparse.Namespace, rest: list[str]) -> int:
    return _call(python, "-m", "devtools.weights", *rest)


# --- what they need ---------------------------------------------------------------------------


def _environment(comfyui: str | None) -> Path:
    """The Python of .venv, with the pinned requirements in it (and those of the user's ComfyUI)."""
    folder = Path(".venv").resolve()
    python = program(folder)
    if not python.is_file():
        with step(f"Making the environment {folder.name} with Python {sys.version.split()[0]}"):
            fix = "on Debian and Ubuntu `apt-get install python3-venv` brings it"
            run([sys.executable, "-m", "venv", str(folder)], f"Python's venv module failed: {fix}.")
    files = [Path("requirements-dev.txt")]
    if comfyui:
        files.append(Path(comfyui).resolve() / "requirements.txt")
    stamp = folder / "tokenopt-requirements"
    wanted = hashlib.sha256(b"".join(_read(file) for file in files)).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        quiet = [] if sys.stdout.isatty() else ["--quiet"]
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", *quiet]
        with step("Installing the requirements (the first time 2 to 15 minutes and up to 6 GB)"):
            for file in files:
                run([*pip, "-r", str(file)], f"Installing {file.name} failed, see above.")
        stamp.write_text(wanted)
    return python


def _prepare_base() -> None:
    from devtools.comfyui.layout import DEV, QUIET_THREADS, comfyui_folder, make_base

    comfyui_folder()
    make_base(DEV / "base")
    for name, value in QUIET_THREADS.items():
        os.environ.setdefault(name, value)


def _browser(python: Path) -> None:
    from devtools.comfyui.browser import find_browser, find_playwright_browser, install_browser

    browser = find_browser() or find_playwright_browser(python)
    if not browser:
        with step("Installing Chromium for the browser tests (about a minute)"):
            browser = install_browser(python)
    if not browser:
        raise Problem("The browser tests need Chromium, Chrome or Edge: install one and try again.")
    os.environ["TOKENOPT_BROWSER"] = browser


# --- small things -----------------------------------------------------------------------------


def _read(file: Path) -> bytes:
    if not file.is_file():
        raise Problem(f"{file} is missing: is {file.parent} the right folder?")
    return file.read_bytes()


def _call(python: Path, *arguments: str) -> int:
    """Exit status of the environment's Python; ctrl-c reaches it too, and is waited for."""
    process = subprocess.Popen([str(python), *arguments])
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Problem, OSError) as problem:
        sys.exit(f"dev.py: {problem}")
    except KeyboardInterrupt:
        sys.exit("dev.py: stopped.")
