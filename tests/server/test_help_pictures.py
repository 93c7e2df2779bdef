"""The shipped help pictures are what the nodes make."""

from __future__ import annotations

import numpy as np
from PIL import Image

from devtools.help_pictures.__main__ import RECIPES, place
from devtools.help_pictures.sheet import save
from devtools.help_pictures.stage import Stage


def test_a_recipe_makes_the_shipped_picture_again(server, tmp_path):
    made = tmp_path / "made.webp"
    save(RECIPES["Copy"](Stage(server)), made)
    now, shipped = (np.asarray(Image.open(path), float) for path in (made, place("Copy")))
    assert now.shape == shipped.shape
    assert abs(now - shipped).mean() < 2  # of 255; another CPU may tip a code
