"""The help pages in other languages have all that the English ones have: a change there shows here.

A page has the same paragraphs, headings, lists, tables, pictures and code in the same order; every
number and every word in code letters of the English page is in it.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from devtools.pages.locales import TRANSLATED
from devtools.release.contract import CONTRACT

DOCS = Path(__file__).parents[3] / "web" / "docs"
PAGES = sorted(DOCS / f"{node}.md" for node in CONTRACT)
BORDER = re.compile(r"(?<!\\)\|")
KIND = re.compile(r"(#+ |- |!\[)?")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
WRITTEN = {"zh": re.compile(r"[\u4e00-\u9fff]"), "ja": re.compile(r"[\u3040-\u30ff]")}
HINT = "the English page says something else now: translate it again"


def shape(page: str) -> list[str]:
    """What each line is: code as it stands, of all else its kind."""
    kinds, in_code = [], False
    for line in page.splitlines():
        fence = line.startswith("```")
        in_code ^= fence
        if fence or in_code or line.startswith("|---"):
            kinds.append(line)
        elif line.startswith("|"):
            kinds.append(f"row with {len(BORDER.findall(line))} borders")
        else:
            kinds.append(KIND.match(line)[0] + ("text" if line else ""))
    return kinds


def input_names(page: str) -> list[str]:
    """The first cells of the table of inputs, which are ids in every language."""
    table = next(block for block in page.split("\n\n") if block.startswith("| "))
    return [row.split("|")[1].strip() for row in table.splitlines()[2:]]


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_page_is_translated_and_no_other(language):
    found = {path.parent.name for path in DOCS.glob(f"*/{language}.md")}
    assert found == set(CONTRACT)


@pytest.mark.parametrize("language", TRANSLATED)
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_translated_page_has_all_that_the_english_one_has(path, language):
    english = path.read_text(encoding="utf-8")
    page = (path.with_suffix("") / f"{language}.md").read_text(encoding="utf-8")
    assert shape(page) == shape(english), HINT
    assert input_names(page) == input_names(english), HINT
    for code in (r"`[^`\n]+`", r"\]\([^)]+\)"):
        assert Counter(re.findall(code, page)) == Counter(re.findall(code, english)), HINT
    missing = Counter(NUMBER.findall(english)) - Counter(NUMBER.findall(page))
    assert not missing, f"{HINT} ({missing})"


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_sentence_is_in_its_language(language):
    for path in PAGES:
        page = (path.with_suffix("") / f"{language}.md").read_text(encoding="utf-8")
        for line in re.sub(r"```.*?```|`[^`]*`", "", page, flags=re.S).splitlines():
            if len(re.findall(r"[A-Za-z]{2,}", line)) > 8:
                assert WRITTEN[language].search(line), f"{path.stem}: {line}"
