"""`python dev.py serve`: ComfyUI with this pack, in the user's browser, until ctrl-c."""

from __future__ import annotations

import argparse
import contextlib
import sys
import webbrowser

from .layout import DEV
from .server import ComfyServer, ServerFailed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--no-browser", action="store_true")
    options = parser.parse_args()
    server = ComfyServer(DEV / "base", port=options.port, offline=False, threads=None)
    with server:
        print(f"\nComfyUI with TokenOpt: {server.url} (templates: Workflow > Browse Templates)")
        print(f"Models go to {server.base / 'models'}. Ctrl-C stops it.", flush=True)
        if not options.no_browser:
            webbrowser.open(server.url)
        return server.process.wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        try:
            sys.exit(main())
        except ServerFailed as problem:
            sys.exit(f"dev.py: {problem}")
