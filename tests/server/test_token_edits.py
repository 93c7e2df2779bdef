"""Token Copy, Token Blend and Token Set in a real ComfyUI."""

from __future__ import annotations

import numpy as np
import pytest

from devtools.comfyui.checks import fails_with, node, succeed


@pytest.fixture
def pair(scene):
    """The two scenes (3) and three others (6); features 4 and 7, quantized 5 and 8."""
    scene["6"] = node("TokenOpt_DemoScene", **{**scene["3"]["inputs"], "colour": "red", "seed": 9})
    scene["3"]["inputs"]["batch_size"] = scene["6"]["inputs"]["batch_size"] = 1
    for start, image in (("4", "3"), ("7", "6")):
        scene[start] = node("TokenOpt_Encode", tokenizer=["1", 0], image=[image, 0])
        quantized = str(int(start) + 1)
        scene[quantized] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=[start, 0])
    return scene


def codes(client, graph, number: str) -> np.ndarray:
    """(b, n) behind the tokens of a node."""
    quantize = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=[number, 0])
    digest = node("Hostile_Digest", value=["90", 1], nonce=0)
    run = succeed(client, {**graph, "90": quantize, "91": digest})
    return np.array([line.split() for line in run.outputs["91"]["digest"][0].splitlines()], int)


def copy(graph, target: str = "5", reference: str = "8", positions: str = "0-3, 7", **more):
    graph["20"] = node(
        "TokenOpt_Copy", target=[target, 0], reference=[reference, 0], positions=positions, **more
    )
    return graph


@pytest.mark.parametrize(("target", "reference"), [("5", "8"), ("4", "7"), ("4", "8"), ("5", "7")])
def test_copies_of_features_and_codes_in_any_mix_are_the_same(client, pair, target, reference):
    before, after = codes(client, pair, "5"), codes(client, pair, "8")
    made = codes(client, copy(pair, target, reference, tokenizer=["1", 0]), "20")
    expected = before.copy()
    expected[:, [0, 1, 2, 3, 7]] = after[:, [0, 1, 2, 3, 7]]
    np.testing.assert_array_equal(made, expected)
    assert (before != expected).any()


def test_tokens_between_the_codes_keep_their_image_beside_features(client, pair):
    ends = {"target": ["5", 0], "reference": ["8", 0], "positions": "all", "strength": 0.5}
    pair["10"] = node("TokenOpt_Blend", tokenizer=["1", 0], **ends, steps=1, quantize=False)
    pair["11"] = node("TokenOpt_Quantize", tokenizer=["1", 0], tokens=["10", 0])

    def image(target: str, reference: str, **more) -> str:
        copy(pair, target, reference, **more)
        pair["21"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["20", 0])
        pair["22"] = node("Hostile_Digest", value=["21", 0], nonce=0)
        return succeed(client, pair).outputs["22"]["digest"][0]

    mixed = {"tokenizer": ["1", 0]}
    assert image("10", "7", **mixed) == image("10", "8") != image("11", "8")
    assert image("4", "10", **mixed) == image("5", "10") != image("5", "11")
    for target, reference, quantized in (("10", "7", "target"), ("4", "10", "reference")):
        copy(pair, target, reference)
        fails_with(client, pair, f"{quantized} is quantized and", "connect Load TiTok")


def test_one_target_with_many_references_and_the_reverse(client, pair):
    pair["6"]["inputs"]["batch_size"] = 3
    before, after = codes(client, pair, "5"), codes(client, pair, "8")
    made = codes(client, copy(pair, positions="2"), "20")
    np.testing.assert_array_equal(made[:, 2], after[:, 2])
    np.testing.assert_array_equal(made[:, 3:], before[:, 3:].repeat(3, 0))
    made = codes(client, copy(pair, "8", "5", "all"), "20")
    np.testing.assert_array_equal(made, before.repeat(3, 0))


def test_a_mask_chooses_instead_of_positions(client, pair):
    pair["9"] = node("SolidMask", value=0.0, width=160, height=16)  # 10 columns per token
    pair["10"] = node("SolidMask", value=1.0, width=30, height=16)
    pair["11"] = node(
        "MaskComposite", destination=["9", 0], source=["10", 0], x=40, y=0, operation="add"
    )
    before, after = codes(client, pair, "5"), codes(client, pair, "8")
    made = codes(client, copy(pair, positions="no positions", mask=["11", 0]), "20")
    np.testing.assert_array_equal(made[:, 4:7], after[:, 4:7])
    np.testing.assert_array_equal(made[:, :4], before[:, :4])
    np.testing.assert_array_equal(made[:, 7:], before[:, 7:])
    pair["91"] = node("Hostile_Digest", value=["20", 0], nonce=0)
    fails_with(client, copy(pair, mask=["9", 0]), "mask chooses no token", "16 tokens")


def test_a_morph_is_an_image_batch_from_one_image_to_the_other(client, pair):
    pair["6"]["inputs"]["batch_size"] = 2
    blend = {"target": ["4", 0], "reference": ["7", 0], "positions": "all", "strength": 1.0}
    pair["20"] = node("TokenOpt_Blend", tokenizer=["1", 0], **blend, steps=5, quantize=False)
    pair["21"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["20", 0])
    pair["22"] = node("PreviewImage", images=["21", 0])
    for i, tokens in enumerate(("4", "7")):
        pair[f"3{i}"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=[tokens, 0])
        pair[f"4{i}"] = node("PreviewImage", images=[f"3{i}", 0])
    run = succeed(client, pair)
    frames, begin, end = (
        np.stack([np.asarray(image, float) for image in client.images(run, number)])
        for number in ("22", "40", "41")
    )
    assert len(frames) == 10
    for way, last in zip((frames[:5], frames[5:]), end, strict=True):
        assert abs(way[0] - begin[0]).max() <= 1
        assert abs(way[-1] - last).max() <= 1
        assert len({frame.tobytes() for frame in way}) == 5
        distances = [abs(frame - last).mean() for frame in way]
        assert distances == sorted(distances, reverse=True)


def test_a_rounded_blend_has_the_codes_of_either_end_at_the_ends(client, pair):
    before, after = codes(client, pair, "5"), codes(client, pair, "8")
    for strength, expected in ((0.0, before), (1.0, after)):
        pair["20"] = node(
            "TokenOpt_Blend",
            tokenizer=["1", 0],
            target=["4", 0],
            reference=["8", 0],
            positions="all",
            strength=strength,
            steps=1,
            quantize=True,
        )
        np.testing.assert_array_equal(codes(client, pair, "20"), expected)


@pytest.mark.parametrize("tokens", ["4", "5"])
def test_codes_set_by_hand(client, pair, tokens):
    before = codes(client, pair, "5")
    pair["20"] = node(
        "TokenOpt_Set", tokenizer=["1", 0], tokens=[tokens, 0], codes="3: 417, 15: 1023"
    )
    made = codes(client, pair, "20")
    assert made[0, [3, 15]].tolist() == [417, 1023]
    np.testing.assert_array_equal(np.delete(made, [3, 15], 1), np.delete(before, [3, 15], 1))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "codes is ''"),
        ("3: x", "'3: x'"),
        ("16: 0", "'16: 0'"),
        ("0: 1024", "'0: 1024'"),
        ("0: -1", "'0: -1'"),
        ("2: 1, 2: 1", "position 2 twice"),
    ],
)
def test_codes_that_cannot_be_set(client, pair, text, found):
    pair["20"] = node("TokenOpt_Set", tokenizer=["1", 0], tokens=["4", 0], codes=text)
    pair["21"] = node("Hostile_Digest", value=["20", 0], nonce=0)
    fails_with(client, pair, found)


def test_a_long_morph_is_decoded_in_parts_and_ends_at_a_cancel(client, pair):
    ends = {"target": ["4", 0], "reference": ["7", 0], "positions": "all"}
    blend = {"strength": 1.0, "steps": 200, "quantize": False}
    pair["9"] = node("TokenOpt_Blend", tokenizer=["1", 0], **ends, **blend)
    pair["10"] = node("TokenOpt_Decode", tokenizer=["1", 0], tokens=["9", 0])
    pair["11"] = node("Hostile_Digest", value=["10", 0], nonce=0)
    run = succeed(client, pair)
    assert run.outputs["11"]["shape"] == [200, 64, 64, 3]
    assert run.progress("10") == [(128, 200), (200, 200)]

    def cancel(event) -> None:
        if event.kind == "progress" and event.node == "10":
            client.interrupt()

    many = {"tokenizer": ["1", 0], "seed": 1, "batch_size": 32, "scale": 1.0}
    pair["12"] = node("TokenOpt_RandomTokens", **many)
    pair["9"]["inputs"]["target"] = ["12", 0]
    run = client.run(pair, on_event=cancel)
    assert run.status == "interrupted"
    assert run.progress("10")[-1][0] < 32 * 200
