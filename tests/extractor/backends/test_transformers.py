"""Every kind of the transformers library against the library called by hand, on tiny random models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from extractor_cases import TEXTS, Run
from PIL import Image
from tiny_models import LONG

from workbench.errors import UserError

Tiny = Callable[[str], Path]
IMAGES = {"../x": "%2E.%2Fx.png", "a": "a.png", "b.v1": "b.v1.png", "c": "c.png"}


def block(folder: Path, layers: Any, **keys: Any) -> dict[str, Any]:
    return {"model_name": str(folder), "backend": "transformers", "output_layers": layers, "batch_size": 3, **keys}


def pixels(folder: Path, catalogue: Path, item: str) -> Any:
    from transformers import AutoImageProcessor

    image = Image.open(catalogue / "images" / IMAGES[item])
    return AutoImageProcessor.from_pretrained(folder)(images=image, return_tensors="pt")


def tokens(folder: Path, item: str, limit: int = LONG, **keys: Any) -> Any:
    from transformers import AutoTokenizer

    made = AutoTokenizer.from_pretrained(folder)
    return made(TEXTS[item], return_tensors="pt", truncation=True, max_length=limit, **keys)


def load(folder: Path) -> Any:
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder).eval()


def same(table: Any, item: str, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(table.gather([item])[0][0], expected.numpy().ravel(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["vit", "dinov2", "convnext"])
@torch.no_grad()
def test_images(run: Run, tiny: Tiny, catalogue: Path, kind: str) -> None:
    folder = tiny(kind)
    pooled, hidden, whole = run(visual=[block(folder, ["pooler_output", -2, "Last_Hidden_State"])])
    model = load(folder)
    for item in IMAGES:
        output = model(**pixels(folder, catalogue, item), output_hidden_states=True)
        same(pooled, item, output.pooler_output)
        same(hidden, item, output.hidden_states[-2])
        same(whole, item, output.last_hidden_state)
    assert pooled.path.parts[-3:] == ("transformers", f"tiny-{kind}", "pooler_output")
    assert whole.manifest["shape"] == list(output.last_hidden_state.shape[1:])


@torch.no_grad()
def test_pooling_of_image_tokens_and_of_feature_maps(run: Run, tiny: Tiny, catalogue: Path) -> None:
    for kind, pooling in (("vit", "mean"), ("vit", "cls"), ("convnext", "max"), ("convnext", "mean")):
        (table,) = run(visual=[block(tiny(kind), "last_hidden_state", pooling=pooling)])
        for item in IMAGES:
            found = load(tiny(kind))(**pixels(tiny(kind), catalogue, item)).last_hidden_state
            found = found.flatten(2).transpose(1, 2) if found.ndim == 4 else found
            by_hand = {"mean": found.mean(1), "cls": found[:, 0], "max": found.amax(1)}
            same(table, item, by_hand[pooling])
    with pytest.raises(UserError, match=r"`pooling: cls` of a feature map \[16, \d+, \d+\].*\n.*`pooling: mean`"):
        run(visual=[block(tiny("convnext"), "last_hidden_state", pooling="cls")])
    with pytest.raises(UserError, match="`pooling` has no effect: pooler_output gives one vector an item"):
        run(visual=[block(tiny("vit"), "pooler_output", pooling="mean")])


@pytest.mark.parametrize("key", ["image_processor", "image_processor_name"])
@torch.no_grad()
def test_another_image_processor_in_both_spellings(run: Run, tiny: Tiny, catalogue: Path, key: str) -> None:
    (table,) = run(visual=[block(tiny("vit"), "pooler_output", **{key: str(tiny("clip"))})])
    model = load(tiny("vit"))
    for item in IMAGES:
        same(table, item, model(**pixels(tiny("clip"), catalogue, item)).pooler_output)
    assert table.manifest["recipe"]["image_processor"]["source"] == "local"


@pytest.mark.parametrize("kind", ["bert", "roberta", "t5"])
@torch.no_grad()
def test_texts_in_several_layers_at_once(run: Run, tiny: Tiny, kind: str) -> None:
    tables = run(textual=[block(tiny(kind), [0, 1, "last_hidden_state"], pooling="mean")])
    model = load(tiny(kind))
    model = model.get_encoder() if kind == "t5" else model
    for item in TEXTS:
        output = model(**tokens(tiny(kind), item), output_hidden_states=True)
        for table, expected in zip(tables, [*output.hidden_states[:2], output.last_hidden_state], strict=True):
            same(table, item, expected.mean(1))
    assert not np.allclose(tables[0].matrix, tables[1].matrix)
    assert tables[0].manifest["backbone"]["longest_text_in_tokens"] == LONG


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "last"])
@torch.no_grad()
def test_padding_never_changes_a_row(run: Run, tiny: Tiny, kind: str, pooling: str) -> None:
    """GPT-2's tokenizer has no padding token and pads on the left; neither shows."""
    (table,) = run(textual=[block(tiny(kind), "last_hidden_state", pooling=pooling)])
    model = load(tiny(kind))
    for item in TEXTS:
        rows = model(**tokens(tiny(kind), item)).last_hidden_state
        by_hand = {"cls": rows[:, 0], "mean": rows.mean(1), "max": rows.amax(1), "last": rows[:, -1]}
        same(table, item, by_hand[pooling])


def test_texts_are_sorted_by_length_and_padded_to_the_longest_of_a_batch(
    run: Run, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    from extractor.backends.tokens import Tokens

    seen: list[tuple[int, ...]] = []
    batch = Tokens.batch

    def counting(self: Tokens, texts: Any) -> Any:
        found = batch(self, texts)
        seen.append(tuple(found["input_ids"].shape))
        return found

    monkeypatch.setattr(Tokens, "batch", counting)
    run(textual=[block(tiny("bert"), "pooler_output", batch_size=2)])
    assert seen == [(2, 16), (2, 11), (1, 3)]  # 5 texts, one of them cut


def test_a_layer_of_tokens_asks_for_pooling_and_unknown_layers_name_the_nearest(run: Run, tiny: Tiny) -> None:
    with pytest.raises(UserError, match=r"'last_hidden_state' has a row for each token, and texts differ.*\n.*mean"):
        run(textual=[block(tiny("bert"), "last_hidden_state")])
    with pytest.raises(UserError, match=r"no values 'poler_output' for each item\n.*'pooler_output'"):
        run(textual=[block(tiny("bert"), "poler_output")])
    with pytest.raises(UserError, match=r"has no hidden layer 7\n.*0 \(the embeddings\) to 3"):
        run(textual=[block(tiny("bert"), 7, pooling="mean")])


@torch.no_grad()
def test_another_tokenizer(run: Run, tiny: Tiny) -> None:
    (table,) = run(textual=[block(tiny("bert"), "pooler_output", tokenizer_name=str(tiny("t5")))])
    for item in TEXTS:
        same(table, item, load(tiny("bert"))(**tokens(tiny("t5"), item)).pooler_output)


@pytest.mark.parametrize("kind", ["clip", "siglip", "siglip2", "align", "altclip", "blip"])
@torch.no_grad()
def test_images_and_texts_together(run: Run, tiny: Tiny, catalogue: Path, kind: str) -> None:
    folder = tiny(kind)
    visual, textual = run(joined=[block(folder, 1)])
    model = load(folder)
    padding = {"padding": "max_length"} if kind.startswith("siglip") else {}
    for item in IMAGES:
        output = model(**pixels(folder, catalogue, item), **tokens(folder, item, **padding))
        same(visual, item, output.image_embeds)
        same(textual, item, output.text_embeds)


@pytest.mark.parametrize("kind", ["clip", "blip", "siglip"])
@torch.no_grad()
def test_one_side_of_a_dual_encoder_alone(run: Run, tiny: Tiny, catalogue: Path, kind: str) -> None:
    """Images without texts get the same `image_embeds` as with them, and the tower's layers."""
    folder = tiny(kind)
    both = run(joined=[block(folder, 1)])
    embeds, hidden = run(visual=[block(folder, ["image_embeds", 1])])
    (words,) = run(textual=[block(folder, "text_embeds")])
    tower = load(folder).vision_model
    for item in IMAGES:
        same(embeds, item, torch.from_numpy(both[0].gather([item])[0]))
        same(words, item, torch.from_numpy(both[1].gather([item])[0]))
        inputs = pixels(folder, catalogue, item)
        same(hidden, item, tower(**inputs, output_hidden_states=True).hidden_states[1])


@torch.no_grad()
def test_hidden_layers_of_a_joined_model_in_pairs(run: Run, tiny: Tiny, catalogue: Path) -> None:
    folder = tiny("clip")
    pairs = [[1, 1], ["vision_model_output.hidden_states.1", "text_model_output.hidden_states.2"]]
    embeds, words, vision, text = run(joined=[block(folder, pairs, pooling="mean")])
    model = load(folder)
    for item in IMAGES:
        inputs = {**pixels(folder, catalogue, item), **tokens(folder, item)}
        output = model(**inputs, output_hidden_states=True)
        same(embeds, item, output.image_embeds)
        same(words, item, output.text_embeds)
        same(vision, item, output.vision_model_output.hidden_states[1].mean(1))
        same(text, item, output.text_model_output.hidden_states[2].mean(1))


def audio_inputs(folder: Path, samples: np.ndarray, rate: int) -> Any:
    from scipy.signal import resample_poly
    from transformers import AutoFeatureExtractor

    extractor = AutoFeatureExtractor.from_pretrained(folder)
    divisor = np.gcd(rate, extractor.sampling_rate)
    if rate != extractor.sampling_rate:
        samples = resample_poly(samples, extractor.sampling_rate // divisor, rate // divisor)
    return extractor(samples, sampling_rate=extractor.sampling_rate, return_tensors="pt")


@pytest.mark.parametrize("kind", ["wav2vec2", "hubert", "wavlm", "ast"])
@torch.no_grad()
def test_recordings(run: Run, tiny: Tiny, sounds: dict[str, tuple[np.ndarray, int]], kind: str) -> None:
    tables = run(audio=[block(tiny(kind), ["last_hidden_state", 1], pooling="mean")])
    model = load(tiny(kind))
    for item, (samples, rate) in sounds.items():
        output = model(**audio_inputs(tiny(kind), samples, rate), output_hidden_states=True)
        same(tables[0], item, output.last_hidden_state.mean(1))
        same(tables[1], item, output.hidden_states[1].mean(1))
    assert sorted(tables[0].ids) == sorted(sounds)
    assert tables[0].path.parts[-4:-2] == ("aud", "transformers")


@torch.no_grad()
def test_recordings_are_cut_after_seconds(run: Run, tiny: Tiny, sounds: dict[str, tuple[np.ndarray, int]]) -> None:
    (table,) = run(audio=[block(tiny("wav2vec2"), "last_hidden_state", pooling="max", seconds=0.25)])
    samples, rate = sounds["a"]
    output = load(tiny("wav2vec2"))(**audio_inputs(tiny("wav2vec2"), samples[:4000], rate))
    same(table, "a", output.last_hidden_state.amax(1))


@pytest.mark.parametrize("kind", ["clap", "clap-fused"])
@torch.no_grad()
def test_recordings_and_texts_together(
    run: Run, tiny: Tiny, sounds: dict[str, tuple[np.ndarray, int]], kind: str
) -> None:
    folder = tiny(kind)
    sound, words = run(audio_textual=[block(folder, 1)])
    (alone,) = run(audio=[block(folder, "audio_embeds")])
    model = load(folder)
    for item, (samples, rate) in sounds.items():
        inputs = audio_inputs(folder, samples, rate)
        inputs["is_longer"] = torch.zeros(1, 1, dtype=torch.bool)
        output = model(**inputs, **tokens(folder, item))
        same(sound, item, output.audio_embeds)
        same(alone, item, output.audio_embeds)
        same(words, item, output.text_embeds)


def test_what_is_longer_than_claps_window_is_cut_not_sampled(
    run: Run, tiny: Tiny, sounds: dict[str, tuple[np.ndarray, int]], catalogue: Path
) -> None:
    import soundfile

    samples = np.random.default_rng(1).uniform(-0.5, 0.5, 8000 * 3)
    soundfile.write(catalogue / "sounds" / "a.wav", samples, 8000, subtype="FLOAT")
    soundfile.write(catalogue / "sounds" / "c.wav", samples[:8000], 8000, subtype="FLOAT")
    (table,) = run(audio=[block(tiny("clap"), "audio_embeds")])
    np.testing.assert_allclose(*table.gather(["a", "c"])[0], atol=1e-6)


def test_a_model_of_other_sides_is_refused(run: Run, tiny: Tiny, sounds: dict[str, tuple[np.ndarray, int]]) -> None:
    with pytest.raises(UserError, match=r"it has no visual side\n.*`audio_textual`"):
        run(joined=[block(tiny("clap"), 1)])
    with pytest.raises(UserError, match=r"it has no audio side\n.*`visual_textual`"):
        run(audio_textual=[block(tiny("clip"), 1)])
    with pytest.raises(UserError, match="`seconds` has no effect"):
        run(joined=[block(tiny("clip"), 1, seconds=2.0)])
