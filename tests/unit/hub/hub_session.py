"""A program, not a test module: a small hub on this computer, and models loaded from it.

`python hub_session.py FOLDER WORK` serves the tokenizer in FOLDER under three repository names
(whole, cut short, without weights), downloads into WORK, and writes what happened as JSON. It is
a program of its own because the hub's client reads its address from the environment once.
How downloads fare is told by download_session.py; this is about the models in them.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from devtools.comfyui.hub import LocalHub

folder, work = Path(sys.argv[1]), Path(sys.argv[2])
hub = LocalHub()
for name in ("tiny", "cut", "absent"):
    for path in folder.iterdir():
        hub.files[f"lab/{name}/{path.name}"] = path.read_bytes()
hub.files["lab/cut/model.safetensors"] = hub.files["lab/cut/model.safetensors"][:-500]
del hub.files["lab/absent/model.safetensors"]
for path in (folder.parent / "guide").iterdir():
    hub.files[f"lab/guide/{path.name}"] = path.read_bytes()
os.environ |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(work / "home"), "NO_PROXY": "127.0.0.1"}
for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN"):
    os.environ.pop(name, None)

from tokenopt_core.guides.guide import load_guide  # noqa: E402
from tokenopt_core.guides.text_encoder import load_text_encoder  # noqa: E402
from tokenopt_core.tokenizers import RELEASES, Release, find_release, load_tokenizer  # noqa: E402

spec = load_tokenizer(folder).spec
for kind in ("tiny", "cut", "absent"):
    RELEASES[kind] = Release(spec=replace(spec, name=kind), repo=f"lab/{kind}")


class Cancelled(Exception):
    pass


def cancel(done: int, total: int) -> None:
    raise Cancelled(f"{done} of {total}")


def attempt(source: str, models: str | None, load=load_guide, **options) -> dict[str, object]:
    """Load, and tell what came of it, what was requested and what lies in the folder after."""
    hub.requests.clear()
    models_dir = work / models if models else None
    progress: list[tuple[int, int]] = []
    options.setdefault("progress", lambda done, total: progress.append((done, total)))
    try:
        error = None
        if source.startswith("hf-hub:"):
            name = load(source, models_dir=models_dir, **options).name
        else:
            name = load_tokenizer(source, models_dir=models_dir, **options).spec.name
    except Exception as caught:
        name, error = None, f"{type(caught).__name__}: {caught}"
    left = (
        sorted(p.relative_to(models_dir).as_posix() for p in models_dir.rglob("*"))
        if models
        else []
    )
    return {
        "name": name,
        "error": error,
        "requests": list(hub.requests),
        "progress": progress,
        "left": left,
    }


hub.__enter__()
results = {
    "found before": find_release(RELEASES["tiny"], work / "models") is not None,
    "cancelled": attempt("tiny", "models", progress=cancel),
    "first": attempt("tiny", "models"),
    "second": attempt("tiny", "models"),
    "cache": attempt("tiny", None),
    "cache again": attempt("tiny", None),
    "cut": attempt("cut", "cut"),
    "cut, cache": attempt("cut", None),
    "cut, found": find_release(RELEASES["cut"]) is not None,
    "absent": attempt("absent", "absent"),
}
GUIDE = "hf-hub:lab/guide"
results["guide, cancelled"] = attempt(GUIDE, "guides", progress=cancel)
results["guide"] = attempt(GUIDE, "guides")
results["guide, cache"] = attempt(GUIDE, None)
results["caption encoder"] = attempt(GUIDE, "captions", load_text_encoder)
results["guide, off"] = attempt(GUIDE, "none", download=False)
results["off"] = attempt("tiny", "none", download=False)
hub.__exit__(None, None, None)
results["offline"] = attempt("tiny", "offline")
results["offline cache"] = attempt("cut", None)
results["guide, offline"] = attempt(GUIDE, "none")
results["guide, there"] = attempt(GUIDE, "guides")
results["guide, in the cache"] = attempt(GUIDE, None)
results["offline, there"] = attempt("tiny", "models")
sys.stdout.write(json.dumps(results))
