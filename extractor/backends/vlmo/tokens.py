"""VLMo's tokenizer: BERT's WordPiece, `bert-base-uncased`."""

from __future__ import annotations

from extractor.weights import HubModel
from workbench.errors import UserError

NAME = "bert-base-uncased"
LONGEST = 40  # tokens with [CLS] and [SEP]; a checkpoint's longer table of text positions is cut to it


class Tokenizer:
    """text -> `[CLS]` pieces `[SEP]`."""

    def __init__(self, found: HubModel) -> None:
        from transformers import BertTokenizerFast  # type: ignore[attr-defined]  # made when it is asked for

        tokenizer = BertTokenizerFast.from_pretrained(found.name, revision=found.revision or "main")
        self._begin, self._end, self.padding = (
            int(tokenizer.convert_tokens_to_ids(token)) for token in ("[CLS]", "[SEP]", "[PAD]")
        )
        self._words = len(tokenizer)
        self._name = found.name
        # the inner tokenizer only reads, so that several threads may call it; the outer one sets truncation anew
        # with every call
        self._inner = tokenizer.backend_tokenizer
        self._inner.no_truncation()
        self._inner.no_padding()

    def __call__(self, text: str, longest: int) -> list[int]:
        """At most `longest` numbers, the two special ones included."""
        pieces: list[int] = self._inner.encode(text, add_special_tokens=False).ids
        return [self._begin, *pieces[: longest - 2], self._end]

    def check(self, rows: int) -> None:
        """Refuse a vocabulary of another size than the embedding's `rows`."""
        if self._words != rows:
            raise UserError(
                f"a vocabulary of {self._words} words, and the checkpoint has {rows}",
                where=self._name,
                mend=f"use the tokenizer files of {NAME} (at least vocab.txt)",
            )
