"""The released nodes speak English, Chinese and Japanese: all they say, and nothing else."""

from __future__ import annotations

import re

import pytest

from devtools.comfyui.layout import ROOT
from devtools.pages.locales import TRANSLATED, english, flat, load, plain
from devtools.release.contract import CONTRACT

OWN = {"zh": re.compile(r"[\u4e00-\u9fff]"), "ja": re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")}
ENGLISH = re.compile(r"[A-Za-z ,']+")
KANA = re.compile(r"[\u3040-\u30ff]")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
HINT = "run `python -m devtools.pages.locales`, and translate what is new"


@pytest.fixture(scope="module")
def schemas(server):
    found = server.client().object_info()
    return {name: said for name, said in found.items() if name.startswith("TokenOpt_")}


def test_the_english_file_is_what_the_nodes_say(schemas):
    assert load("en") == english(schemas), HINT


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_text_is_translated_and_no_other(schemas, language):
    translated = load(language)
    assert set(CONTRACT) <= set(translated)
    texts = english({name: schemas[name] for name in translated}, whole=True)
    wanted = {path for path, _ in flat(texts)}
    assert {path for path, _ in flat(translated)} == wanted, HINT


@pytest.mark.parametrize("language", ["en", *TRANSLATED])
def test_no_text_is_read_as_a_message_with_places(language):
    assert not [(path, text) for path, text in flat(load(language)) if not (text and plain(text))]


@pytest.mark.parametrize("language", TRANSLATED)
def test_translations_are_of_their_language(language):
    said = dict(flat(load("en")))
    for path, text in flat(load(language)):
        assert OWN[language].search(text), f"{path}: {text}"
        assert text != said.get(path), path
        assert language == "ja" or not KANA.search(text), f"{path}: {text}"
        longest = max((len(run.split()) for run in ENGLISH.findall(text)), default=0)
        assert longest <= 4, f"{path} has English left: {text}"


@pytest.mark.parametrize("language", TRANSLATED)
def test_numbers_are_those_of_the_english_text(language):
    translated = dict(flat(load(language)))
    lost = {
        path: set(NUMBER.findall(text)) - set(NUMBER.findall(translated[path]))
        for path, text in flat(load("en"))
        if path in translated
    }
    assert not {path: numbers for path, numbers in lost.items() if numbers}


@pytest.mark.parametrize("language", TRANSLATED)
def test_inputs_keep_their_id_beside_the_translated_name(language):
    for (_, *keys), text in flat(load(language)):
        if keys[0] == "inputs" and keys[2] == "name":
            assert text.endswith(f" {keys[1]}"), text


@pytest.mark.parametrize("language", ["en", *TRANSLATED])
@pytest.mark.parametrize("name", ["main", "commands"])
def test_what_the_page_says_is_translated(language, name):
    said, translated = dict(flat(load("en", name))), dict(flat(load(language, name)))
    assert set(said) == set(translated)
    script = (ROOT / "web" / "js" / "stop.js").read_text(encoding="utf-8")
    for path, text in said.items():
        assert f'"{text}"' in script
        assert (translated[path] == text) == (language == "en")


def test_comfyui_serves_them(client):
    served = client.get("/i18n").json()
    for language in ("en", *TRANSLATED):
        texts = served[language]
        assert texts["nodeDefs"]["TokenOpt_Optimize"] == load(language)["TokenOpt_Optimize"]
        assert texts["commands"].items() >= load(language, "commands").items()
