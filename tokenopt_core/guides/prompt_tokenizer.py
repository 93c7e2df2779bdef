"""Prompt tokenizer: texts to ids, and remarks about what a text tower cannot read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..checks import shortened
from .file_checks import check_ids, check_tokenizer_options, reason
from .files import GuideFiles


class PromptTokenizer:
    """Texts -> ids (b, context_length) int64, over either kind of open_clip tokenizer.

    open_clip has its own byte-pair tokenizer for the classic models and one that holds a Hugging
    Face tokenizer (`.tokenizer`) for all others. Both cut long texts without a word.
    """

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        self._inner = getattr(tokenizer, "tokenizer", None)
        self.context_length: int = tokenizer.context_length

    def __call__(self, texts: Sequence[str]) -> Tensor:
        return self._tokenizer(list(texts))

    @property
    def vocabulary_size(self) -> int:
        """Number of ids that can occur, from 0; a file may leave some out."""
        if self._inner is None:
            return self._tokenizer.vocab_size
        return max(self._inner.get_vocab().values(), default=-1) + 1

    def check_vocabulary(self, words: int, reader: str) -> None:
        """Raise ValueError if `reader`, such as "guide demo", has fewer words than this."""
        if self.vocabulary_size > words:
            raise ValueError(
                f"{reader} has {words} words, its tokenizer {self.vocabulary_size}: "
                'put tokenizer.json beside the weights and "hf_tokenizer_name" into text_cfg.'
            )

    def remarks(self, texts: Sequence[str], reader: str, kind: str = "prompt") -> list[str]:
        """One sentence for each text that is cut, and one that names all unknown words.

        Args:
            reader: what reads them, such as "guide demo".
            kind: what the texts are.
        """
        result, unknown = [], {}
        for text in texts:
            length, words = self._read(text)
            unknown.update(dict.fromkeys(words))
            if length > self.context_length:
                result.append(
                    f"the {kind} {_quoted(text)} has {length} tokens and {reader} reads "
                    f"{self.context_length}: its end is ignored, so put what matters first."
                )
        if unknown:
            words = ", ".join(json.dumps(word, ensure_ascii=False) for word in unknown)
            result.append(f"{reader} does not know {words}: use other words instead.")
        return result

    def knows_nothing_of(self, text: str) -> bool:
        """Whether every word of the text is unknown, so that nothing of it could be meant."""
        if self._inner is None:
            return False
        clean = getattr(self._tokenizer, "clean_fn", str)(text)
        ids = self._inner(clean, add_special_tokens=False, verbose=False)["input_ids"]
        return all(i == self._inner.unk_token_id for i in ids)

    def _read(self, text: str) -> tuple[int, list[str]]:
        """The text's length in tokens, start and end included, and its unknown words."""
        if self._inner is None:
            return len(self._tokenizer.encode(text)) + 2, []
        clean = getattr(self._tokenizer, "clean_fn", str)(text)
        read = self._inner(clean, return_offsets_mapping=self._inner.is_fast, verbose=False)
        unknown = self._inner.unk_token_id
        spans = zip(read["input_ids"], read.get("offset_mapping", ()), strict=False)
        return len(read["input_ids"]), [clean[a:b] for i, (a, b) in spans if i == unknown and a < b]


def read_tokenizer(files: GuideFiles, words: int) -> PromptTokenizer:
    """The tokenizer of a model of so many words, read from files that are there, and tried once."""
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    if files.tokenizer is None:
        return PromptTokenizer(open_clip.get_tokenizer(files.model))
    asked = files.text.get("tokenizer_kwargs") or {}
    options = check_tokenizer_options(files.tokenizer, asked)
    if files.text.get("tokenizer_mode"):
        options["tokenizer_mode"] = files.text["tokenizer_mode"]
    options |= {"trust_remote_code": False, "local_files_only": True}
    length = files.text.get("context_length", 77)
    try:
        tokenizer = HFTokenizer(str(files.tokenizer), context_length=length, **options)
        check_ids(tokenizer(["a"]), length, words)
        return PromptTokenizer(tokenizer)
    except ImportError:
        raise
    except Exception as error:  # as above: transformers has a word for everything
        raise ValueError(
            f"the text tokenizer in {files.tokenizer} cannot be read ({reason(error)}): get "
            "tokenizer.json and tokenizer_config.json again."
        ) from error


def _quoted(text: str) -> str:
    return json.dumps(shortened(text, 60), ensure_ascii=False)
