"""Tools of the recipes: a graph that is written line by line, and a server that runs it."""

from __future__ import annotations

import re
from typing import Any

from PIL import Image

from ..comfyui.checks import node
from ..comfyui.client import Graph, Run
from ..comfyui.server import ComfyServer

SECONDS = 3600
Source = tuple[str, int]  # a node's number and one of its outputs

SCENE = {
    "shape": "circle",
    "colour": "red",
    "size": "large",
    "position": "left",
    "background": "sky",
    "pattern": "plain",
    "light": "bright",
    "focus": "sharp",
}
HEART = {"shape": "heart", "colour": "yellow", "position": "middle"}
BESIDE = {"direction": "right", "match_image_size": True}
BESIDE |= {"spacing_width": 0, "spacing_color": "white"}
STAR = "a large green star on the left, plain sky background, bright, sharp"


class Sketch:
    """A graph in API format: each call adds a node and gives its first output."""

    def __init__(self) -> None:
        self.graph: Graph = {}
        self.tokenizer = self("LoadTokenizer", tokenizer="demo")
        self._guide: Source | None = None

    def __call__(self, kind: str, /, **inputs: Any) -> Source:
        """Adds a node of this pack, or (a name with a `.`) one of ComfyUI's own."""
        number = str(len(self.graph) + 1)
        linked = {k: list(v) if isinstance(v, tuple) else v for k, v in inputs.items()}
        class_type = kind[1:] if kind.startswith(".") else f"TokenOpt_{kind}"
        self.graph[number] = node(class_type, **linked)
        return number, 0

    @property
    def guide(self) -> Source:
        self._guide = self._guide or self("LoadGuide", model="demo")
        return self._guide

    def scene(self, seed: int = 7, batch_size: int = 1, **attributes: str) -> Source:
        """The red circle of the templates, with other attributes where they are given."""
        return self("DemoScene", seed=seed, batch_size=batch_size, **{**SCENE, **attributes})

    def mixed(self, seed: int, batch_size: int, **attributes: str) -> Source:
        """Scenes of which everything is random that is not given."""
        return self.scene(seed, batch_size, **{**dict.fromkeys(SCENE, "random"), **attributes})

    def encode(self, image: Source) -> Source:
        return self("Encode", tokenizer=self.tokenizer, image=image)

    def decode(self, tokens: Source) -> Source:
        return self("Decode", tokenizer=self.tokenizer, tokens=tokens)

    def clip(self, prompt: str, **settings: Any) -> Source:
        defaults = {"negative_prompt": "", "random_crops": True, "crops": 4, "weight": 1.0}
        defaults |= {"negative_weight": 0.5, "mirror": False}
        given = {**defaults, **settings}
        return self("ClipLoss", guide=self.guide, prompt=prompt, **given)

    def optimize(self, tokens: Source, loss: Source, **settings: Any) -> Source:
        """A Token Optimizer as in the templates; its image is the first output."""
        defaults = {"steps": 150, "lr": 0.2, "seed": 5, "quantize": True, "ema": True}
        defaults |= {"ema_decay": 0.95, "token_noise": True, "noise_scale": 0.3}
        defaults |= {"regularize": "none", "reg_weight": 0.02, "reset_every": 0}
        defaults |= {"preview_every": 0, "keep": "average"}
        inputs = {**defaults, **settings}
        return self("Optimize", tokenizer=self.tokenizer, tokens=tokens, loss=loss, **inputs)

    def beside(self, *images: Source) -> Source:
        """Images stitched to one, from left to right."""
        wide, *others = images
        for other in others:
            wide = self(".ImageStitch", image1=wide, image2=other, **BESIDE)
        return wide

    def mask(self, canvas: tuple[int, int], box: tuple[int, int, int, int]) -> Source:
        """White in a box (x, y, width, height) of a black canvas (width, height)."""
        x, y, *size = box
        black = self(".SolidMask", value=0.0, width=canvas[0], height=canvas[1])
        white = self(".SolidMask", value=1.0, width=size[0], height=size[1])
        given = {"destination": black, "source": white, "operation": "add"}
        return self(".MaskComposite", **given, x=x, y=y)

    def keeping(self, loss: Source, image: Source, mask: Source) -> Source:
        """The loss and an L1 loss that keeps the image where the mask is black."""
        given = {"weight": 2.0, "feather": 0, "norm": "L1"}
        return self.sum(loss, self("MaskedL1Loss", image=image, mask=mask, **given))

    def sum(self, first: Source, second: Source) -> Source:
        """Both losses together, with equal weights."""
        return self("CombineLosses", loss_a=first, loss_b=second, weight_a=1.0, weight_b=1.0)

    def pasted(self, image: Source, other: Source, mask: Source) -> Source:
        """The image with the other one where the mask is white."""
        given = {"destination": image, "source": other, "mask": mask}
        return self(".ImageCompositeMasked", **given, x=0, y=0, resize_source=True)


class Stage:
    """Runs sketches and fetches what they show."""

    def __init__(self, server: ComfyServer) -> None:
        self.server = server
        self.client = server.client()

    def images(self, sketch: Sketch, *sources: Source) -> list[list[Image.Image]]:
        """For each source, its batch of images."""
        shown = [sketch(".PreviewImage", images=source) for source in sources]
        run = self.run(sketch)
        return [self.client.images(run, number) for number, _ in shown]

    def texts(self, sketch: Sketch, *sources: Source) -> list[str]:
        shown = [sketch(".PreviewAny", source=source) for source in sources]
        run = self.run(sketch)
        return [run.outputs[number]["text"][0] for number, _ in shown]

    def run(self, sketch: Sketch) -> Run:
        """As long as it takes: a busy machine may need minutes for one picture."""
        run = self.client.run(sketch.graph, timeout=SECONDS)
        if run.error:
            raise RuntimeError(f"{run.error['node_type']}: {run.error['exception_message']}")
        return run

    def saved_name(self, run: Run, number: str) -> str:
        """Where a Save node of this pack says that it has put its file."""
        note = run.outputs[number]["tokenopt_notes"][0]
        return re.match(r"saved (?:as )?(\S+)", note)[1]

    def file_facts(self, name: str) -> str:
        """Name and size of a file in the output folder, in short lines."""
        path = self.server.base / "output" / name
        start, *endings = path.name.split(".", 1)
        return f"{start}\n.{'.'.join(endings)}\n{path.stat().st_size} bytes"
