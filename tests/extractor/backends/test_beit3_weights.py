"""Reading BEiT-3 checkpoints: sizes, containers, heads, what does not fit; positions; the tokenizer."""

from __future__ import annotations

import argparse
import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from extractor.backends.base import Surroundings
from extractor.backends.beit3.model import BASE, Beit3, Sizes
from extractor.backends.beit3.tokens import Tokenizer, find_tokenizer
from extractor.backends.beit3.weights import load_beit3, resize_positions, sizes_of
from workbench.errors import UserError

SIZES = Sizes(width=64, depth=2, heads=1, hidden=24, patch=4, grid=3, vocabulary=40, longest=10, itc=True)
State = dict[str, torch.Tensor]


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return {name: torch.randn_like(value) for name, value in Beit3(SIZES).state_dict().items()}


def save(folder: Path, content: Any, name: str = "tiny.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def test_sizes_are_read_from_the_shapes(tmp_path: Path, state: State) -> None:
    assert load_beit3(save(tmp_path, {"model": state})).sizes == SIZES
    with torch.device("meta"):
        published = Beit3(replace(BASE, itc=True, pooler=True)).state_dict()
    assert sizes_of(published, tmp_path) == replace(BASE, itc=True, pooler=True)


@pytest.mark.parametrize("container", ["model", "module", None, "data parallel", "half", "safetensors"])
def test_containers_and_precisions(tmp_path: Path, state: State, container: str | None) -> None:
    content: Any = {container: state, "optimizer": {"step": 1}} if container in ("model", "module") else state
    if container == "data parallel":
        # fine-tuned checkpoints carry the command line
        content = {"model": {f"module.{k}": v for k, v in state.items()}, "args": argparse.Namespace(lr=1e-4)}
    if container == "half":
        content = {"model": {name: value.half() for name, value in state.items()}}
    if container == "safetensors":
        from safetensors.torch import save_file

        path = tmp_path / "tiny.safetensors"
        save_file(state, path)
    else:
        path = save(tmp_path, content)
    for name, value in load_beit3(path).state_dict().items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, state[name], atol=2e-3, rtol=2e-3)


def test_the_first_tensor_that_does_not_fit_is_named(tmp_path: Path, state: State) -> None:
    def refused(change: State, *without: str) -> str:
        content = {name: value for name, value in {**state, **change}.items() if name not in without}
        with pytest.raises(UserError) as caught:
            load_beit3(save(tmp_path, {"model": content}))
        assert str(tmp_path / "tiny.pth") in str(caught.value)
        return str(caught.value)

    key = "beit3.encoder.layers.1.self_attn.inner_attn_ln.B.weight"
    assert f"it has no `{key}`" in refused({}, key)
    assert f"`{key}` is (63,) where (64,) was expected" in refused({key: torch.zeros(63)})
    assert "`vision_head.weight` is (64, 32) where (64, 64)" in refused({"vision_head.weight": torch.zeros(64, 32)})
    assert "no `language_head.weight`" in refused({}, "language_head.weight")
    key = "beit3.encoder.embed_positions.A.weight"
    assert f"`{key}` is (14, 64) where a table for a square" in refused({key: torch.zeros(14, 64)})
    key = "beit3.text_embed.weight"
    assert f"`{key}` is (40,) where 2 dimensions" in refused({key: torch.zeros(40)})


def test_files_that_are_no_checkpoints(tmp_path: Path, state: State) -> None:
    (tmp_path / "broken.pth").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(UserError, match="not readable as a state dict"):
        load_beit3(tmp_path / "broken.pth")
    with pytest.raises(UserError, match="that would run its code"):
        load_beit3(save(tmp_path, {"model": Beit3(SIZES)}))  # a pickled module
    with pytest.raises(UserError, match=r"no state dict .*\n.*model, module"):
        load_beit3(save(tmp_path, {"model": [1, 2]}))
    with pytest.raises(UserError, match=r"no BEiT-3 checkpoint: it has no `beit3.text_embed.weight`"):
        load_beit3(save(tmp_path, {"fc.weight": torch.zeros(2, 2)}))
    narrow = {name: torch.zeros(value.shape) for name, value in Beit3(replace(SIZES, width=32)).state_dict().items()}
    with pytest.raises(UserError, match="the number of attention heads is not known for width 32"):
        load_beit3(save(tmp_path, narrow))


def test_known_heads_are_passed_over_and_others_warned_of(tmp_path: Path, state: State, log: list[str]) -> None:
    known = {"logit_scale": torch.ones(()), "mlm_head.weight": torch.ones(2, 2), "head.bias": torch.ones(3)}
    load_beit3(save(tmp_path, {"model": {**state, **known}}))
    assert not [line for line in log if line.startswith("WARNING")]
    load_beit3(save(tmp_path, {"model": {**state, **known, "beit3.encoder.extra": torch.ones(2)}}))
    assert any("1 tensors are not used: beit3.encoder.extra" in line for line in log)


def test_fine_tuned_on_imagenet(tmp_path: Path, state: State) -> None:
    tuned = {name: value for name, value in state.items() if "encoder.layer_norm" not in name}
    tuned |= {"fc_norm.weight": torch.ones(64), "fc_norm.bias": torch.zeros(64), "head.weight": torch.zeros(10, 64)}
    assert load_beit3(save(tmp_path, {"model": tuned})).sizes == replace(SIZES, fc_norm=True, final_norm=False)


def test_positions_for_another_resolution(tmp_path: Path, state: State) -> None:
    path = save(tmp_path, {"model": state})
    larger = load_beit3(path, edge=24)
    assert larger.sizes == replace(SIZES, grid=6)
    key = "beit3.encoder.embed_positions.A.weight"
    assert larger.state_dict()[key].shape == (3 + 36, 64)
    assert torch.equal(larger.state_dict()[key][:3], state[key][:3])
    assert torch.equal(load_beit3(path, edge=12).state_dict()[key], state[key])
    with pytest.raises(UserError, match=r"25 x 25 pixels do not divide into patches of 4"):
        load_beit3(path, edge=25)


def test_resizing_is_bicubic() -> None:
    """Keys' kernel with a = -3/4 along both edges, the borders repeated: the definition, cell by cell."""

    def weight(x: float) -> float:
        x = abs(x)
        return 1.25 * x**3 - 2.25 * x**2 + 1 if x <= 1 else -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    table = torch.randn(3 + 9, 2, generator=torch.Generator().manual_seed(0))
    resized = resize_positions(table, 5)
    assert torch.equal(resized[:3], table[:3])
    cells = table[3:].reshape(3, 3, 2)
    for row in range(5):
        for column in range(5):
            y, x = (row + 0.5) * 3 / 5 - 0.5, (column + 0.5) * 3 / 5 - 0.5
            expected = torch.zeros(2)
            for i in range(math.floor(y) - 1, math.floor(y) + 3):
                for j in range(math.floor(x) - 1, math.floor(x) + 3):
                    expected += weight(y - i) * weight(x - j) * cells[min(max(i, 0), 2), min(max(j, 0), 2)]
            torch.testing.assert_close(resized[3 + 5 * row + column], expected, atol=1e-5, rtol=0)


# ---------------------------------------------------------------------------------------------------------------
# the tokenizer
# ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentencepiece = pytest.importorskip("sentencepiece", reason="BEiT-3's tokenizer needs sentencepiece")
    folder = tmp_path_factory.mktemp("spm")
    (folder / "corpus.txt").write_text("the red kettle\nthe green chair\nthe yellow lamp and the chair\n" * 5)
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "corpus.txt"), model_prefix=str(folder / "beit3"), vocab_size=40, hard_vocab_limit=False,
        minloglevel=2, num_threads=1,
    )  # fmt: skip
    return folder / "beit3.model"


def test_numbers_follow_xlm_r(spm: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    raw = SentencePieceProcessor(model_file=str(spm))
    assert [raw.id_to_piece(number) for number in range(3)] == ["<unk>", "<s>", "</s>"]  # as in beit3.spm
    pieces = raw.encode("the kettle", out_type=str)
    expected = [0, *(raw.piece_to_id(piece) + 1 for piece in pieces), 2]
    tokenizer = Tokenizer(spm)
    assert tokenizer("the kettle") == expected
    assert 3 in tokenizer("the \u732b")  # <unk> is 3, not 0 + 1
    assert tokenizer("") == [0, 2]


def test_long_texts_keep_both_ends(spm: Path) -> None:
    tokenizer = Tokenizer(spm)
    whole = tokenizer("the red kettle " * 40, longest=1000)
    assert len(whole) > 64
    cut = tokenizer("the red kettle " * 40)
    assert cut == [*whole[:63], 2]
    assert tokenizer("the red kettle", longest=4) == [*whole[:3], 2]


def test_a_tokenizer_of_another_size_is_refused(spm: Path) -> None:
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(spm)).get_piece_size()
    Tokenizer(spm).check(pieces + 10)
    with pytest.raises(UserError, match=rf"a tokenizer of {pieces} pieces, and the checkpoint has .* 64010 rows"):
        Tokenizer(spm).check(64010)
    (spm.parent / "broken.spm").write_bytes(b"no model")
    with pytest.raises(UserError, match="not readable as a SentencePiece model"):
        Tokenizer(spm.parent / "broken.spm")


def test_where_the_tokenizer_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sentencepiece", reason="BEiT-3's tokenizer needs sentencepiece")
    weights, around = tmp_path / "here" / "tiny.pth", Surroundings("x.yml:3", tmp_path)
    weights.parent.mkdir()
    with pytest.raises(UserError, match=r"x.yml:3: BEiT-3's tokenizer cannot be had; looked for .*here/beit3.spm"):
        find_tokenizer(None, weights, around)
    for place in ("beit3/beit3.spm", "beit3.spm", "here/beit3.spm"):  # the later goes before the earlier
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).touch()
        assert find_tokenizer(None, weights, around) == tmp_path / place
    (tmp_path / "my.spm").touch()
    assert find_tokenizer("my.spm", weights, around) == tmp_path / "my.spm"
    assert find_tokenizer(str(tmp_path), weights, around) == tmp_path / "beit3.spm"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"sentencepiece, which is not installed\n.*pip install sentencepiece"):
        find_tokenizer(None, weights, around)
