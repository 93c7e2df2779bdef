"""An image as a short text, and what tells tokenizers apart."""

from __future__ import annotations

import re

import pytest
import torch

from tests.unit.tokenizer_specs import ALL
from tokenopt_core.tokenizers import build_tokenizer, load_tokenizer
from tokenopt_core.tokenizers.fingerprint import fingerprint
from tokenopt_core.tokens.text import codes_to_text, exact_codes, text_to_codes


@pytest.fixture
def codes() -> torch.Tensor:
    return torch.tensor([[0, 63, 5, 17, 40, 33], [1, 2, 3, 4, 5, 6]])


@pytest.fixture
def text(tokenizer, codes) -> str:
    return codes_to_text(tokenizer, codes, "tiny")


def test_there_and_back(tokenizer, codes, text):
    assert [line[:10] for line in text.splitlines()] == ["tok1.tiny."] * 2
    assert torch.equal(text_to_codes(tokenizer, text, "tiny"), codes)
    assert torch.equal(text_to_codes(tokenizer, text.splitlines()[1], "tiny"), codes[1:])


def test_white_space_around_is_ignored(tokenizer, codes, text):
    spaced = "\n\r\n  " + text.replace("\n", " \r\n\n\t") + " \n"
    assert torch.equal(text_to_codes(tokenizer, spaced, "tiny"), codes)


def test_32_codes_of_12_bits_are_75_characters_and_a_name(make_tokenizer):
    large = make_tokenizer(num_tokens=32, codebook_size=4096)
    codes = torch.randint(4096, (3, 32), generator=torch.Generator().manual_seed(0))
    text = codes_to_text(large, codes, "titok-l32")
    assert [len(line) for line in text.splitlines()] == [len("tok1.titok-l32.") + 75] * 3
    assert torch.equal(text_to_codes(large, text, "titok-l32"), codes)


def test_a_codebook_of_any_size(make_tokenizer):
    for size in (1, 2, 3, 1000, 1025):
        odd = make_tokenizer(codebook_size=size)
        codes = torch.tensor([[0, size - 1, 0, size // 2, 0, size - 1]])
        assert torch.equal(text_to_codes(odd, codes_to_text(odd, codes, "x"), "x"), codes)


def test_every_typo_and_every_cut_is_noticed(tokenizer, text):
    line = text.splitlines()[0]
    for i in range(len(line)):
        typo = line[:i] + ("A" if line[i] != "A" else "B") + line[i + 1 :]
        for spoilt in (typo, line[:i], line[:i] + line[i + 1 :], line[i + 1 :] or "."):
            with pytest.raises(ValueError, match=r"^text (is|has) ") as error:
                text_to_codes(tokenizer, spoilt, "tiny")
            assert len(str(error.value).split()) < 60


@pytest.mark.parametrize("spoilt", ["", " \n", "x" * 9000, "tok1.tiny.", "tok1.tiny.é", "a\nb"])
def test_no_such_text(tokenizer, spoilt):
    with pytest.raises(ValueError, match=r"^(line 1 of )?text is .*Tokens to Text gave") as error:
        text_to_codes(tokenizer, spoilt, "tiny")
    assert len(str(error.value)) < 300


def test_the_line_that_is_wrong_is_named(tokenizer, text):
    first, second = text.splitlines()
    with pytest.raises(ValueError, match=r"^line 2 of text is damaged"):
        text_to_codes(tokenizer, f"{first}\n{second[:-1]}", "tiny")
    with pytest.raises(ValueError, match=r"^text has version 2, expected 1.*update the pack"):
        text_to_codes(tokenizer, first.replace("tok1", "tok2"), "tiny")


def test_texts_of_other_tokenizers(tokenizer, make_tokenizer, text):
    plain = make_tokenizer(l2_normalized=False)  # same sizes, same weights
    with pytest.raises(ValueError, match=r"made with the tokenizer 'tiny'.*one is 'my other/one'"):
        text_to_codes(plain, text, "my other/one")
    renamed = text_to_codes(tokenizer, text, "my other/one")  # a file may be renamed
    assert len(renamed) == 2


def test_a_replaced_file_of_the_same_name(make_tokenizer, text):
    for part in ("quantize.embedding", "decoder.decoder_embed"):
        replaced = make_tokenizer()
        with torch.no_grad():
            dict(replaced.named_parameters())[f"{part}.weight"][0] *= -1
        with pytest.raises(ValueError, match=r"another tokenizer of the name 'tiny'.*replaced"):
            text_to_codes(replaced, text, "tiny")


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_a_fingerprint_survives_saving_and_half_precision(hub_layout, spec):
    path = hub_layout(spec)
    torch.manual_seed(0)
    expected = fingerprint(build_tokenizer(spec))
    torch.manual_seed(1)
    other = fingerprint(build_tokenizer(spec))
    assert expected != other
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert fingerprint(load_tokenizer(path, dtype=dtype)) == expected


def test_names_that_do_not_fit_into_a_line(tokenizer, codes):
    for name in ("folder/my tok.v2", "", "é", "n" * 200):
        text = codes_to_text(tokenizer, codes, name)
        assert all(re.fullmatch(r"tok1\.[\w-]{1,40}\.[\w-]+", line) for line in text.splitlines())
        assert torch.equal(text_to_codes(tokenizer, text, name), codes)


def test_codes_give_the_image_to_the_last_bit(tokenizer, features):
    quantized = tokenizer.quantize(features)
    for tokens, state in ((features, False), (quantized.tokens, True)):
        codes = exact_codes(tokenizer, tokens, state)
        assert torch.equal(codes, quantized.codes)
        assert torch.equal(tokenizer.lookup(codes), quantized.tokens)
    with pytest.raises(ValueError, match="tokens lie between the codes.*TiTok Quantize"):
        exact_codes(tokenizer, features, True)


def test_a_vae_has_no_codes(vae):
    for call in (
        lambda: exact_codes(vae, torch.zeros(1, 6, 8), False),
        lambda: codes_to_text(vae, torch.zeros(1, 6, dtype=torch.long), "vae"),
        lambda: text_to_codes(vae, "tok1.vae.AAAA", "vae"),
    ):
        with pytest.raises(ValueError, match="is a VAE, which has no codes to write as text"):
            call()


@pytest.mark.parametrize("quantized", [False, True])
def test_tokens_that_are_not_finite_have_no_codes(tokenizer, features, quantized):
    spoilt = features.clone()
    spoilt[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="tokens contain NaN or infinite numbers"):
        exact_codes(tokenizer, spoilt, quantized)
