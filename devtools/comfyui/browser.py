"""A browser for the front-end tests: an installed one, otherwise a new one. stdlib only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
WINDOWS_APPS = (r"Google\Chrome\Application\chrome.exe", r"Microsoft\Edge\Application\msedge.exe")
MAC_APPS = ("Google Chrome", "Chromium", "Microsoft Edge")
FROM_PLAYWRIGHT = (
    "import pathlib, playwright.sync_api as api\n"
    "with api.sync_playwright() as p:\n"
    "    path = p.chromium.executable_path\n"
    "print(path if pathlib.Path(path).is_file() else '')\n"
)


def find_browser() -> str | None:
    """Path of a Chromium-like browser: TOKENOPT_BROWSER, on PATH, at its usual place, or None."""
    given = os.environ.get("TOKENOPT_BROWSER")
    if given:
        return given
    for name in NAMES:
        # Ubuntu's /usr/bin/chromium-browser may be a shell stub for a snap that is not there.
        path = shutil.which(name)
        if path and _starts(path):
            return path
    for path in _usual_places():
        if path.is_file():
            return str(path)
    return None


def install_browser(python: str | Path) -> str | None:
    """Installs a Chromium for the tests and returns its path, or None when no way worked."""
    for way in (_from_debian, _from_playwright):
        browser = way(python)
        if browser:
            return browser
    return None


def find_playwright_browser(python: str | Path) -> str | None:
    """The Chromium that playwright has downloaded earlier, if any."""
    done = subprocess.run([str(python), "-c", FROM_PLAYWRIGHT], capture_output=True, text=True)
    return done.stdout.strip() or None


def _from_debian(_python: str | Path) -> str | None:
    """apt's own package brings its libraries along; Ubuntu's is a snap and of no use here."""
    if not (sys.platform == "linux" and shutil.which("apt-get") and os.geteuid() == 0):
        return None
    if "ID=debian" not in Path("/etc/os-release").read_text().splitlines():
        return None
    quiet = {
        "stdout": subprocess.DEVNULL,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    }
    subprocess.run(["apt-get", "update", "-qq"], **quiet)
    subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], **quiet)
    return find_browser()


def _from_playwright(python: str | Path) -> str | None:
    command = [str(python), "-m", "playwright", "install", "chromium"]
    if sys.platform == "linux" and os.geteuid() == 0:
        command.insert(4, "--with-deps")
    subprocess.run(command, stdout=subprocess.DEVNULL)
    return find_playwright_browser(python)


def _starts(path: str) -> bool:
    if os.name == "nt":  # chrome.exe --version opens a window there
        return True
    try:
        return subprocess.run([path, "--version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _usual_places() -> list[Path]:
    if sys.platform == "darwin":
        return [Path(f"/Applications/{app}.app/Contents/MacOS/{app}") for app in MAC_APPS]
    if os.name == "nt":
        roots = [
            os.environ.get(name) for name in ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")
        ]
        return [Path(root) / app for root in roots if root for app in WINDOWS_APPS]
    return []
