"""BEiT-3's tokenizer: `beit3.spm` (SentencePiece, unigram) with the numbers of XLM-R."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from extractor.backends.base import Surroundings
from workbench.errors import UserError

FILE = "beit3.spm"
BEGIN, PAD, END, UNKNOWN = 0, 1, 2, 3  # <s>, <pad>, </s>, <unk>
LONGEST = 64  # tokens with <s> and </s>, as in the published retrieval configurations
_ROWS_MORE = 10  # rows of the published embedding (64,010) beyond the pieces of the file (64,000)


class Tokenizer:
    """text -> `<s>` pieces `</s>`.

    The file numbers <unk> 0, <s> 1, </s> 2, then the pieces; XLM-R's convention is <s> 0, <pad> 1, </s> 2,
    <unk> 3, and any other piece one more than in the file.
    """

    def __init__(self, path: Path) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            self._processor = SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise UserError("not readable as a SentencePiece model", where=path, mend="copy the file again") from error
        self._unknown = self._processor.unk_id()
        self._path = path

    def __call__(self, text: str, longest: int = LONGEST) -> list[int]:
        """At most `longest` numbers, the two special ones included."""
        pieces: list[int] = self._processor.encode(text)
        shifted = [UNKNOWN if piece == self._unknown else piece + 1 for piece in pieces[: longest - 2]]
        return [BEGIN, *shifted, END]

    def check(self, rows: int) -> None:
        """Refuse a tokenizer of another model than the one whose embedding has `rows` rows."""
        pieces = self._processor.get_piece_size()
        if pieces + _ROWS_MORE != rows:
            raise UserError(
                f"a tokenizer of {pieces} pieces, and the checkpoint has an embedding of {rows} rows "
                f"({_ROWS_MORE} more than the pieces)",
                where=self._path,
                mend=f"use the {FILE} that is published with the checkpoint",
            )


def find_tokenizer(named: str | None, weights: Path, around: Surroundings) -> Path:
    """The file of the tokenizer: as named, beside the weights, or in the weights root (or `beit3/` there).

    Raises
    ------
    UserError : there is none, or the package sentencepiece is not installed.
    """
    if importlib.util.find_spec("sentencepiece") is None:
        raise UserError(
            "BEiT-3 reads texts with the package sentencepiece, which is not installed",
            where=around.where,
            mend="pip install sentencepiece",
        )
    root = around.weights_root
    under_root = [] if root is None else [root, root / "beit3"]
    if named is not None:
        looked = [Path(named), Path(named) / FILE, *(folder / named for folder in under_root)]
    else:
        looked = [folder / FILE for folder in (weights.parent, *under_root)]
    found = next((path for path in looked if path.is_file()), None)
    if found is None:
        raise UserError(
            f"BEiT-3's tokenizer cannot be had; looked for {', '.join(map(str, dict.fromkeys(looked)))}",
            where=around.where,
            mend=f"download {FILE} (README of microsoft/unilm, beit3) and put it beside the weights, "
            "or set `tokenizer_name: path/to/beit3.spm`",
        )
    return found
