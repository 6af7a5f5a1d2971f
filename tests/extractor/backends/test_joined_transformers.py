"""A tiny CLIP with random weights, saved with the real classes and loaded through the usual path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import TEXTS, Run
from PIL import Image

from workbench.errors import UserError

FILES = {"../x": "%2E.%2Fx.png", "a": "a.png", "b.v1": "b.v1.png", "c": "c.png"}
TOWERS = ["vision_model_output.pooler_output", "text_model_output.pooler_output"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("hub") / "tiny-clip"
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.train_from_iterator(TEXTS.values(), trainers.WordLevelTrainer(special_tokens=["[PAD]", "[UNK]", "[EOS]"]))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]", model_max_length=12
    )
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {"vocab_size": 100, "max_position_embeddings": 12, "eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 0}
    config = CLIPConfig(
        text_config={**tower, **text}, vision_config={**tower, "image_size": 32, "patch_size": 8}, projection_dim=6
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=size).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def model_block(clip: Path, **keys: Any) -> dict[str, Any]:
    named = {"tokenizer_name": str(clip), "image_processor_name": str(clip)}
    block = {"model_name": str(clip), "backend": "transformers", "output_layers": 1, "batch_size": 3}
    return {**block, **named, **keys}


def by_hand(clip: Path, catalogue: Path, item: str) -> Any:
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    model = CLIPModel.from_pretrained(clip).eval()
    image = Image.open(catalogue / "images" / FILES[item])
    pixels = AutoImageProcessor.from_pretrained(clip)(images=image, return_tensors="pt")
    tokens = AutoTokenizer.from_pretrained(clip)(TEXTS[item], return_tensors="pt", truncation=True, max_length=12)
    with torch.no_grad():
        vision = model.vision_model(**pixels).pooler_output.numpy()[0].copy()
        words = (
            model.text_model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"])
            .pooler_output.numpy()[0]
            .copy()
        )
        return model(**pixels, **tokens), vision, words


def test_both_tables_equal_the_library_called_by_hand(run: Run, clip: Path, catalogue: Path) -> None:
    visual, textual = run(joined=[model_block(clip)])
    assert list(visual.ids) == list(textual.ids) == sorted(FILES)
    for item in FILES:
        output, _, _ = by_hand(clip, catalogue, item)
        np.testing.assert_allclose(visual.gather([item])[0], output.image_embeds, atol=1e-5)
        np.testing.assert_allclose(textual.gather([item])[0], output.text_embeds, atol=1e-5)
    assert visual.path == catalogue / "vis" / "transformers" / "tiny-clip" / "1"
    assert textual.path == catalogue / "txt" / "transformers" / "tiny-clip" / "1"
    listed = (catalogue / "vis" / "quarantine.tsv").read_text()
    assert "e/f" in listed
    assert listed == (catalogue / "txt" / "quarantine.tsv").read_text()


def test_attributes_of_the_two_towers(run: Run, clip: Path, catalogue: Path) -> None:
    visual, textual = run(joined=[model_block(clip, output_layers=TOWERS)])
    assert (visual.dim, textual.dim) == (16, 16)  # before the projection, whatever the version of transformers
    for item in FILES:
        _, vision, words = by_hand(clip, catalogue, item)
        np.testing.assert_allclose(visual.gather([item])[0][0], vision, atol=1e-5)
        np.testing.assert_allclose(textual.gather([item])[0][0], words, atol=1e-5)


def test_a_batch_of_one(run: Run, clip: Path) -> None:
    many = [np.array(table.matrix) for table in run(joined=[model_block(clip)])]
    for layer, table in enumerate(run(joined=[model_block(clip, batch_size=1, output_layers=2)])):
        np.testing.assert_allclose(table.matrix, many[layer], atol=1e-5)


def test_an_unknown_attribute_names_the_nearest(run: Run, clip: Path) -> None:
    with pytest.raises(UserError, match=r"has no values 'image_embed' for each item\n.*'image_embeds'"):
        run(joined=[model_block(clip, output_layers=["image_embed", "text_embeds"])])
    with pytest.raises(UserError, match="a row for each token"):
        run(joined=[model_block(clip, output_layers=["image_embeds", "text_model_output.last_hidden_state"])])


def test_changed_weights_are_extracted_again(run: Run, clip: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    copy = tmp_path / "tiny-clip"
    shutil.copytree(clip, copy)
    before = np.array(run(joined=[model_block(copy)])[0].matrix)
    state = load_file(copy / "model.safetensors")
    save_file({name: value * 1.1 for name, value in state.items()}, copy / "model.safetensors", {"format": "pt"})
    after = run(joined=[model_block(copy)])[0]
    assert np.abs(after.matrix - before).max() > 1e-4
