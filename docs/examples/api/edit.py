"""Runs a ComfyUI workflow with another prompt, picture and seed, and fetches what it makes.

    pip install websocket-client
    python edit.py --workflow text_edit.json --prompt "a small blue ring" --image photo.png

The workflow is one in API format (in ComfyUI: Workflow > Export (API)). Ends with 0 if all went
well; 1 if it could not begin, or lost the server; 2 for wrong arguments; 3 if ComfyUI refused the
workflow; 4 if a node failed; 5 if somebody cancelled the run; 130 after ctrl-c, which cancels it.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from comfy_client import Graph, Problem, Server, follow, save, title

DEFAULT_SERVER = "http://127.0.0.1:8188"
SCENE = "TokenOpt_DemoScene"  # in the shipped workflows it stands for the user's picture


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    values = dict(options.set)
    for name in ("prompt", "image", "seed"):
        if getattr(options, name) is not None:
            values[name] = getattr(options, name)
    try:
        for path in run(options.server, load_graph(options.workflow), values, options.out):
            print(path)
    except (Problem, OSError) as problem:
        print(problem, file=sys.stderr)
        return getattr(problem, "status", 1)
    except KeyboardInterrupt:
        print("Cancelled.", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    made.add_argument(
        "--server", type=address, default=DEFAULT_SERVER, help=f"default: {DEFAULT_SERVER}"
    )
    made.add_argument("--workflow", type=Path, required=True, help="a file in API format")
    made.add_argument("--prompt", help="what the result should show")
    made.add_argument("--image", help="a picture, sent to the server; empties source_prompt")
    made.add_argument("--seed", type=int)
    made.add_argument(
        "--set",
        type=setting,
        action="append",
        default=[],
        metavar="NODE.INPUT=VALUE",
        help="any other input, of a node by its title, class or number; =@FILE sends a picture",
    )
    made.add_argument("--out", type=Path, default=Path("results"), help="folder for the results")
    return made


def address(text: str) -> str:
    """The address of a `--server`; a forgotten http:// is put in front."""
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half of an IPv6 address, a port that is no number
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{text!r} is no address such as {DEFAULT_SERVER}")
    return text


def setting(text: str) -> tuple[str, str]:
    """The name "NODE.INPUT" and the value of a `--set`."""
    name, sign, value = text.partition("=")
    if not sign or "." not in name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NODE.INPUT=VALUE")
    return name, value


def run(url: str, graph: Graph, values: dict[str, Any], out: Path) -> list[Path]:
    """Runs a workflow with other values; where its results are now."""
    changed(graph, values)  # what cannot be set is said before anything is sent
    server = Server(url)
    server.check()
    graph = changed(graph, values, server.upload)
    server.listen()
    prompt_id = str(uuid.uuid4())
    try:
        prompt_id = server.queue(graph, prompt_id)
        files = follow(server, prompt_id, Progress(graph))
    except KeyboardInterrupt:
        server.cancel(prompt_id)
        raise
    return [save(server.fetch(file), out, file["filename"]) for file in files]


class Progress:
    """Tells what the server works on: a bar in a terminal, a line per node and tenth elsewhere."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.shown = ""

    def __call__(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if message["type"] == "executing" and data.get("node"):
            self._show(title(self.graph, data["node"]))
        elif message["type"] == "progress":
            tenth = 10 * data["value"] // data["max"]
            bar = f"[{'#' * tenth:10}] {data['value'] if sys.stderr.isatty() else 10 * tenth}"
            unit = f"/{data['max']}" if sys.stderr.isatty() else "%"
            self._show(f"{title(self.graph, data['node'])} {bar}{unit}")
        elif message["type"] == "executing" and sys.stderr.isatty():
            print(file=sys.stderr)

    def _show(self, text: str) -> None:
        if text == self.shown:
            return
        clear, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")
        print(clear + text, end=end, file=sys.stderr, flush=True)
        self.shown = text


# --- the workflow -----------------------------------------------------------------------------


def load_graph(path: Path) -> Graph:
    """The workflow in a file; raises Problem unless it is in API format."""
    try:
        graph = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"The workflow {path} cannot be read: {error}") from None
    if isinstance(graph, dict) and "nodes" in graph and "links" in graph:
        raise Problem(f"{path} is in the format of the page: use Workflow > Export (API).")
    nodes = graph.values() if isinstance(graph, dict) else [None]
    if not all(isinstance(n, dict) and isinstance(n.get("inputs"), dict) for n in nodes):
        raise Problem(f"{path} holds no workflow in API format.")
    return graph


def changed(graph: Graph, values: dict[str, Any], upload: Callable[[Path], str] = str) -> Graph:
    """A copy of a workflow with other values.

    Args:
        values: of "prompt", "image" (a file) and "seed", whose nodes are found (see `_choose`), and
            of any "NODE.INPUT", with a node's title, class or number.
        upload: from a picture's path to the name that the server has for it.
    """
    graph = copy.deepcopy(graph)
    if "image" in values:  # what the workflow says of its own picture is not true of this one
        for node in graph.values():
            if isinstance(node["inputs"].get("source_prompt"), str):
                node["inputs"]["source_prompt"] = ""
    for name, value in values.items():
        if name == "prompt":
            for node in _choose(graph, name, _holders(graph, name, str), _texts_of_prompts(graph)):
                node["inputs"][name if name in node["inputs"] else "value"] = value
        elif name == "seed":
            holders = _holders(graph, name, int)
            drawn = {n for n in holders if graph[n]["class_type"] == SCENE}
            steps = [n for n in holders if "steps" in graph[n]["inputs"]]
            for node in _choose(graph, name, [n for n in holders if n not in drawn], steps):
                node["inputs"][name] = _whole(value)
        elif name == "image":
            _set_image(graph, upload(_picture(value)))
        else:
            _set(graph, name, value, upload)
    return graph


def _whole(seed: Any) -> int:
    try:
        if isinstance(seed, bool | float):
            raise ValueError
        return int(seed)  # of a table's cell a text
    except (TypeError, ValueError):
        raise Problem(f"The seed is {seed!r}: expected a whole number.") from None


def _holders(graph: Graph, name: str, kind: type) -> list[str]:
    """The nodes that have such an input, with a value of their own instead of a connection.

    A node without any connection, such as a forgotten Load Image, is none: it does nothing.
    """
    links = {n: [v for v in graph[n]["inputs"].values() if isinstance(v, list)] for n in graph}
    sources = {str(link[0]) for found in links.values() for link in found}
    held = [n for n, node in graph.items() if isinstance(node["inputs"].get(name), kind)]
    return [number for number in held if links[number] or number in sources]


def _texts_of_prompts(graph: Graph) -> list[str]:
    """The one node with a text that is connected to a prompt; none where there are several."""
    links = [node["inputs"].get("prompt") for node in graph.values()]
    sources = {str(link[0]) for link in links if isinstance(link, list)}
    texts = [n for n in sources if isinstance(graph[n]["inputs"].get("value"), str)]
    return texts if len(texts) == 1 else []


def _choose(graph: Graph, name: str, *groups: list[str]) -> list[dict[str, Any]]:
    """The nodes to change: all of the first group whose nodes hold the same value by now."""
    found = [group for group in groups if group]
    for group in found:
        if len({json.dumps(graph[number]["inputs"].get(name)) for number in group}) == 1:
            return [graph[number] for number in group]
    if not found:
        raise Problem(f"The workflow has no node with a {name} of its own to set.")
    names = ", ".join(f"{title(graph, number)} ({number})" for number in found[0])
    raise Problem(
        f"Several nodes hold a different {name}: {names}. Say which you mean, for example "
        f'--set "{found[0][0]}.{name}={"@FILE" if name == "image" else "..."}".'
    )


def _set_image(graph: Graph, uploaded: str) -> None:
    """Puts a picture of the server where the workflow loads one, or else draws a demo scene."""
    loaders = [n for n in _holders(graph, "image", str) if "LoadImage" in graph[n]["class_type"]]
    scenes = [n for n in _holders(graph, "seed", int) if graph[n]["class_type"] == SCENE]
    for number in [] if loaders else scenes[:1]:
        links = [v for node in graph.values() for v in node["inputs"].values()]
        if len(scenes) > 1 or [number, 1] in links:  # 1 is the caption, which a picture has not
            raise Problem("The workflow draws its pictures: put a Load Image node into it.")
        meta = {"title": "Your picture"}
        graph[number] = {"class_type": "LoadImage", "inputs": {"image": ""}, "_meta": meta}
        loaders = [number]
    plain = [number for number in loaders if graph[number]["class_type"] == "LoadImage"]
    for node in _choose(graph, "image", plain, loaders):
        node["inputs"]["image"] = uploaded


def _set(graph: Graph, name: str, text: str, upload: Callable[[Path], str]) -> None:
    """Sets any input, "NODE.INPUT", to a text; it becomes what the input holds now."""
    called, _, field = name.rpartition(".")
    found = [n for n in graph if called in (n, title(graph, n), graph[n]["class_type"])]
    if len(found) != 1:
        raise Problem(f"{len(found)} nodes of the workflow are called {called}: use a number.")
    inputs = graph[found[0]]["inputs"]
    if isinstance(inputs.get(field), list) or field not in inputs:
        own = ", ".join(key for key, value in inputs.items() if not isinstance(value, list))
        raise Problem(f"{called} has no input {field} of its own to set, but: {own or 'none'}.")
    if text.startswith("@"):
        inputs[field] = upload(_picture(text[1:]))
    elif isinstance(inputs[field], str):
        inputs[field] = text
    else:
        try:
            inputs[field] = json.loads(text)
        except ValueError:
            raise Problem(f"{name} holds {inputs[field]!r}, so {text!r} does not fit.") from None


def _picture(name: str) -> Path:
    if not Path(name).is_file():
        raise Problem(f"There is no picture {name}.")
    return Path(name)


if __name__ == "__main__":
    sys.exit(main())
