from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from extractor_cases import TEXTS, TFIDF, Run, write_texts

from workbench.errors import UserError

SENTENCES = {"backend": "sentence_transformers", "output_layers": 1, "batch_size": 2}


def test_sentences_equal_the_library_called_by_hand(run: Run, minilm: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    root = tmp_path / "root"
    (root / "sentence-transformers").mkdir(parents=True)
    (root / "sentence-transformers" / "all-MiniLM-L6-v2").symlink_to(minilm)
    name = "sentence-transformers/all-MiniLM-L6-v2"
    (table,) = run(textual=[{**SENTENCES, "model_name": name}], weights_root=root)
    by_hand = SentenceTransformer(str(minilm), device="cpu")
    for row, text in zip(table.matrix, TEXTS.values(), strict=True):
        np.testing.assert_allclose(row, by_hand.encode(text), atol=1e-5)
    assert table.path.parts[-4:] == ("sentence_transformers", "sentence-transformers", "all-MiniLM-L6-v2", "1")
    assert table.manifest["recipe"]["weights"]["source"] == "local"
    (local,) = run(textual=[{**SENTENCES, "model_name": str(minilm)}])
    assert local.path.parts[-3:] == ("sentence_transformers", "model", "1")


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "last"])
def test_token_rows_and_the_pooled_one_from_one_pass(
    run: Run, minilm: Path, monkeypatch: pytest.MonkeyPatch, pooling: str
) -> None:
    from sentence_transformers import SentenceTransformer

    layers = ["sentence_embedding", "token_embeddings"]
    block = {**SENTENCES, "model_name": str(minilm), "output_layers": layers, "pooling": pooling}
    sentences, tokens = run(textual=[block])
    by_hand = SentenceTransformer(str(minilm), device="cpu")
    for place, text in enumerate(TEXTS.values()):
        np.testing.assert_allclose(sentences.matrix[place], by_hand.encode(text), atol=1e-5)
        rows = by_hand.encode(text, output_value="token_embeddings").cpu().numpy()
        expected = {"cls": rows[0], "mean": rows.mean(0), "max": rows.max(0), "last": rows[-1]}[pooling]
        np.testing.assert_allclose(tokens.matrix[place], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"output_layers": "token_embeddings"}, r"belong together\n.*`pooling: mean`"),
        ({"pooling": "mean"}, r"belong together\n.*remove `pooling`"),
        ({"output_layers": [1, 2]}, r"a number only names its folder\n.*`output_layers: 1`"),
        ({"output_layers": "embeddings"}, "sentence_transformers has no layer 'embeddings'"),
    ],
)
def test_layers_that_sentence_encoders_have_not(run: Run, minilm: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(textual=[{**SENTENCES, "model_name": str(minilm), **keys}])


def test_a_hub_model_that_cannot_be_had(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as caught:
        run(textual=[{**SENTENCES, "model_name": "sentence-transformers/no-such-model"}], weights_root=tmp_path)
    message = str(caught.value)
    for part in ("sentence-transformers/no-such-model", str(tmp_path), "cache", "https://", "--weights-root"):
        assert part in message
    assert message.count("\n") == 1


def test_a_broken_local_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"encoder cannot be loaded"):
        run(textual=[{**SENTENCES, "model_name": str(tmp_path / "encoder")}])


def test_tfidf_equals_the_library_called_by_hand(run: Run) -> None:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    (table,) = run(textual=[TFIDF])
    matrix = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode").fit_transform(TEXTS.values())
    values = TruncatedSVD(3, n_iter=7, random_state=42).fit(matrix).transform(matrix)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    np.testing.assert_allclose(table.matrix, values, atol=1e-5)
    assert table.manifest["backbone"]["terms"] == matrix.shape[1]


def test_tfidf_dimension_is_capped_by_the_corpus(run: Run, catalogue: Path, warnings_seen: list[str]) -> None:
    (table,) = run(textual=[{**TFIDF, "dim": 100}])
    assert table.dim == 5
    assert "5 dimensions, not 100" in " ".join(warnings_seen)
    write_texts(catalogue / "meta.tsv", {"only": "one text"})
    (table,) = run(textual=[TFIDF])
    assert table.matrix.shape == (1, 1)


def test_clear_text_changes_what_is_encoded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from extractor.backends.textual_classical import Backend

    seen: list[str] = []
    encode = Backend.encode
    monkeypatch.setattr(Backend, "encode", lambda self, batch: (seen.extend(batch), encode(self, batch))[1])
    run(textual=[{**TFIDF, "clear_text": True}])
    assert seen[1] == "A nine blue lamp with a paper shade ."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_name": "tfdif"}, r"no textual model 'tfdif'\n.*'tfidf'"),
        ({"tokenizer_name": "x"}, "`tokenizer_name` has no effect with backend classical"),
        ({"weights": "random"}, "`weights` has no effect with backend classical"),
    ],
)
def test_refusals(run: Run, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(textual=[{**TFIDF, **change}])
