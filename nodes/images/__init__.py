"""Image nodes: a demo scene, and the tokenizer's square of any image and back."""

from .demo_scene import DemoScene
from .fit import FitImage
from .paste import PasteBack

NODES = [DemoScene, FitImage, PasteBack]
