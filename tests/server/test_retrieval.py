"""Seed Retrieval in a real ComfyUI: what it chooses, from a batch and from a folder."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from devtools.comfyui.checks import fails_with, node, pixels, succeed, table
from tokenopt_core.demo import Attributes, caption, render, sample
from tokenopt_core.images.fit import fit_images

COUNT = 12


def scenes() -> Attributes:
    return sample(COUNT, 77)


def wanted() -> list[str]:
    """Full captions of the scenes."""
    return caption(scenes())


@pytest.fixture
def folder(server):
    """Name of a folder of the input directory, made anew, with the scenes as 00.png, 01.png, ..."""
    place = server.base / "input" / "seeds"
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(server.base / "user" / "__tokenopt", ignore_errors=True)
    place.mkdir(parents=True)
    for number, scene in enumerate(render(scenes(), 78)):
        array = (scene.movedim(0, 2) * 255).round().to(torch.uint8).numpy()
        Image.fromarray(array).save(place / f"{number:02}.png")
    return place


def retrieval(**inputs) -> dict:
    """1 guide, 2 the retrieval, 3 the images that it gives, 4 and 5 its texts."""
    chosen = {"prompts": "\n".join(wanted()[:3]), "choose": "best", "size": 64, **inputs}
    return {
        "1": node("TokenOpt_LoadGuide", model="demo"),
        "2": node("TokenOpt_SeedRetrieval", guide=["1", 0], **chosen),
        "3": node("PreviewImage", images=["2", 0]),
        "4": node("Hostile_Digest", value=["2", 1], nonce=0),
        "5": node("Hostile_Digest", value=["2", 2], nonce=0),
    }


def chosen(run) -> list[str]:
    return run.outputs["5"]["digest"][0].splitlines()


def batch(graph: dict) -> dict:
    """The graph with the first four scenes as a batch."""
    for k in range(4):
        graph[f"1{k}"] = node("LoadImage", image=f"seeds/{k:02}.png")
    joined = ["10", 0]
    for k in range(1, 4):
        graph[f"2{k}"] = node("ImageBatch", image1=joined, image2=[f"1{k}", 0])
        joined = [f"2{k}", 0]
    graph["2"]["inputs"]["image"] = joined
    return graph


def test_a_prompt_gets_the_scene_that_it_describes(client, folder):
    run = succeed(client, retrieval(folder="seeds"))
    assert chosen(run) == ["00.png", "01.png", "02.png"]
    given = pixels(client, run, "3")[..., :3]
    for number in range(3):
        assert np.array_equal(given[number], np.asarray(Image.open(folder / f"{number:02}.png")))
    head, *rows = table(run, "2")
    assert head.split() == ["prompt", "chosen", "CLIP", "rank", "best", "mean"]
    assert [" 1 of 12 " in row for row in rows] == [True] * 3
    assert run.outputs["4"]["digest"][0].splitlines() == [head, *rows]
    assert (COUNT, COUNT) in run.progress("2")


def test_a_batch_and_a_folder_choose_alike(client, folder):
    names = [f"{number:02}.png" for number in range(4, COUNT)]
    for name in names:
        (folder / name).unlink()
    from_folder = chosen(succeed(client, retrieval(folder="seeds")))
    run = succeed(client, batch(retrieval()))
    assert [f"{int(number):02}.png" for number in chosen(run)] == from_folder
    assert pixels(client, run, "3").shape[1:3] == (64, 64)


def test_drawing_follows_its_seed_and_gives_equal_prompts_several_images(client, folder):
    graph = retrieval(folder="seeds", prompts="a star\n" * 8, choose="random", seed=1)
    first = chosen(succeed(client, graph))
    assert len(set(first)) > 2
    graph["2"]["inputs"]["seed"] = 2
    assert chosen(succeed(client, graph))[:7] == first[1:]
    graph["2"]["inputs"].update(choose="top percent", percent=25)
    run = succeed(client, graph)
    assert {row.split(" of ")[0].split()[-1] for row in table(run, "2")[1:]} <= {"1", "2", "3"}
    assert len(set(chosen(run))) > 1


def test_images_of_all_sizes_give_squares_and_broken_ones_a_note(client, folder):
    Image.open(folder / "01.png").resize((200, 120)).save(folder / "wide.jpg")
    Image.open(folder / "02.png").convert("P").save(folder / "palette.bmp")
    whole = (folder / "00.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.webp").write_text("no image")
    # A kind that nobody calls so: among these is EPS, which Pillow would have Ghostscript run.
    Image.open(folder / "00.png").save(folder / "other.png", "PPM")
    run = succeed(client, retrieval(folder="seeds", size=80))
    assert pixels(client, run, "3").shape == (3, 80, 80, 3)
    lines = table(run, "2")
    assert " of 14 " in lines[1]
    names = ("half.png", "other.png", "text.webp")
    skipped = " ".join(f"{name} is no readable image." for name in names)
    assert lines[-1] == f"note: skipped 3 broken: {skipped}"


def test_a_large_photograph_gives_the_square_that_the_whole_of_it_would(client, folder):
    for file in folder.iterdir():
        file.unlink()
    noise = np.random.default_rng(5).integers(0, 256, (130, 190, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6
    large = Image.fromarray(noise).resize((3801, 2600), Image.Resampling.NEAREST)
    large.save(folder / "large.jpg", exif=turned)
    upright = ImageOps.exif_transpose(Image.open(folder / "large.jpg"))
    whole = torch.from_numpy(np.array(upright)).movedim(2, 0)[None].float() / 255
    expected = (fit_images(whole, 96)[0].movedim(0, 2) * 255).to(torch.uint8).numpy()
    run = succeed(client, retrieval(folder="seeds", prompts="a star\na circle", size=96))
    given = pixels(client, run, "3")[..., :3].astype(int)
    assert np.abs(given - expected).max() <= 1
    assert given.std() > 10


def test_a_file_that_says_it_is_enormous_is_left_out(client, folder):
    small = (folder / "00.png").read_bytes()
    head = b"IHDR" + struct.pack(">II", 20000, 20000) + small[24:29]
    bomb = small[:12] + head + struct.pack(">I", zlib.crc32(head)) + small[33:]
    (folder / "bomb.png").write_bytes(bomb)
    run = succeed(client, retrieval(folder="seeds"))
    assert "bomb.png has more than 178 million pixels" in table(run, "2")[-1]


def embedded(server) -> list[os.stat_result]:
    place = server.base / "user" / "__tokenopt" / "embeddings"
    return [file.stat() for file in place.iterdir()]


def test_embeddings_are_kept_by_content_and_a_changed_file_is_seen(client, server, folder):
    graph = retrieval(folder="seeds")
    first = succeed(client, graph)
    (kept,) = embedded(server)
    graph["2"]["inputs"]["prompts"] += "\n" + wanted()[3]
    assert chosen(succeed(client, graph))[:3] == chosen(first)
    (folder / "00.png").rename(folder / "renamed.png")
    assert chosen(succeed(client, graph))[0] == "renamed.png"
    assert embedded(server)[0].st_mtime_ns == kept.st_mtime_ns  # nothing new was embedded
    shutil.copy(folder / "03.png", folder / "renamed.png")
    assert chosen(succeed(client, graph))[0] != "renamed.png"
    (file,) = (server.base / "user" / "__tokenopt" / "embeddings").iterdir()
    file.write_bytes(b"damaged")
    graph["2"]["inputs"]["size"] = 32
    assert chosen(succeed(client, graph))[1:3] == ["01.png", "02.png"]


def test_a_folder_that_comes_through_a_link_is_looked_at_in_every_run(client, folder):
    graph = retrieval(folder=["6", 0], prompts=wanted()[3])
    graph["6"] = node("StringConcatenate", string_a="seeds", string_b="", delimiter="")
    assert chosen(succeed(client, graph)) == ["03.png"]
    (folder / "03.png").rename(folder / "moved.png")
    assert chosen(succeed(client, graph)) == ["moved.png"]


def test_a_cancel_while_it_embeds_ends_it_soon(client, folder):
    slow = BytesIO()
    Image.linear_gradient("L").resize((1600, 1600)).save(slow, "PNG")  # small, long to decode
    for number in range(200):
        content = slow.getvalue() + b"%d" % number  # another file each, for the cache
        (folder / f"slow {number:03}.png").write_bytes(content)

    def cancel(event) -> None:
        if event.kind == "progress" and event.data["value"] >= COUNT + 3:
            client.interrupt()

    run = client.run(retrieval(folder="seeds"), on_event=cancel)
    assert run.status == "interrupted"
    assert max(value for value, _ in run.progress("2")) < COUNT + 100


def test_the_seed_starts_an_edit(client, folder):
    graph = retrieval(folder="seeds")
    graph |= {
        "30": node("TokenOpt_LoadTokenizer", tokenizer="demo"),
        "31": node("TokenOpt_Encode", tokenizer=["30", 0], image=["2", 0]),
        "32": node("TokenOpt_Decode", tokenizer=["30", 0], tokens=["31", 0]),
        "33": node("PreviewImage", images=["32", 0]),
    }
    run = succeed(client, graph)
    seeds, decoded = pixels(client, run, "3"), pixels(client, run, "33")
    assert np.abs(seeds[..., :3].astype(float) - decoded[..., :3]).mean() < 20


@pytest.mark.parametrize(
    ("inputs", "parts"),
    [
        ({}, ("image is not connected and folder is empty",)),
        ({"folder": "no such"}, ("folder is 'no such'", "existing folder")),
        ({"folder": "../models"}, ("folder is '../models'", "leaves ComfyUI's input directory")),
        ({"folder": "/etc"}, ("folder is '/etc'", "leaves")),
        ({"folder": "linked out"}, ("leaves ComfyUI's input directory",)),
        ({"folder": "empty"}, ("folder 'empty' has no image", "png, jpg, webp or bmp")),
        ({"folder": "broken"}, ("no image that can be read, only 2 broken",)),
        ({"folder": "seeds", "prompts": " \n"}, ("prompts is empty",)),
        ({"folder": "seeds", "prompts": "a star:-1"}, ("asks for nothing",)),
        ({"folder": "seeds", "prompts": "a star\nxyzzy"}, ("'xyzzy'", "knows no word")),
        ({"folder": "seeds", "prompts": "a star\n" * 9, "size": 4096}, ("9 lines", "150 megapix")),
        ({"folder": "seeds", "choose": "top percent", "percent": 0}, ("percent is 0",)),
        ({"folder": "seeds", "choose": "top percent", "percent": "nan"}, ("percent is nan",)),
    ],
)
def test_bad_input(client, server, folder, inputs, parts):
    base = server.base / "input"
    (base / "empty").mkdir(exist_ok=True)
    (base / "broken").mkdir(exist_ok=True)
    (base / "broken" / "a.png").write_bytes(b"")
    (base / "broken" / "b.jpg").write_bytes(b"\xff\xd8\xff")
    if not (base / "linked out").is_symlink():
        (base / "linked out").symlink_to(server.base / "models", target_is_directory=True)
    fails_with(client, retrieval(**inputs), *parts)


def test_two_pools_are_one_too_many(client, folder):
    graph = batch(retrieval(folder="seeds"))
    fails_with(client, graph, "image is connected and folder is 'seeds'", "one of the two")
