"""Tiny models with random weights, built with the real classes of the transformers library and saved to a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from extractor_cases import TEXTS

WIDE, LONG = 32, 16  # width of every model, tokens of the longest text
_LAYERS = {"hidden_size": WIDE, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2}
_IMAGE = {"image_size": 32, "patch_size": 8}
_IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_TEXT = {"vocab_size": 60, "max_position_embeddings": LONG, **_IDS}


def tokenizer(limit: int | None = LONG, **keys: Any) -> Any:
    """Words of the test catalogue, `[PAD]` 0, `[UNK]` 1, `[EOS]` 2; `[CLS] text [EOS]`."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]", "[EOS]", "[CLS]"]
    words.train_from_iterator(TEXTS.values(), trainers.WordLevelTrainer(special_tokens=special))
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [EOS]", special_tokens=[("[CLS]", 3), ("[EOS]", 2)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "eos_token": "[EOS]", "cls_token": "[CLS]"}
    if limit is not None:
        keys["model_max_length"] = limit
    return PreTrainedTokenizerFast(tokenizer_object=words, **{**names, **keys})


def save(folder: Path, model: Any, *parts: Any) -> Path:
    model.save_pretrained(folder)
    for part in parts:
        part.save_pretrained(folder)
    return folder


def build(kind: str, folder: Path) -> Path:
    """Save the tiny model of a kind; the same weights every time."""
    torch.manual_seed(0)
    return _BUILDERS[kind](folder)


def _clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    config = CLIPConfig(text_config={**_LAYERS, **_TEXT}, vision_config={**_LAYERS, **_IMAGE}, projection_dim=6)
    return save(folder, CLIPModel(config), _square(CLIPImageProcessor), tokenizer())


def _siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel

    config = SiglipConfig(text_config={**_LAYERS, **_TEXT}, vision_config={**_LAYERS, **_IMAGE})
    size = {"height": 32, "width": 32}
    return save(folder, SiglipModel(config), SiglipImageProcessor(size=size), tokenizer(eos_token="[PAD]"))


def _siglip2(folder: Path) -> Path:
    from transformers import Siglip2Config, Siglip2ImageProcessor, Siglip2Model

    vision = {**_LAYERS, "patch_size": 8, "num_patches": 16}
    config = Siglip2Config(text_config={**_LAYERS, **_TEXT}, vision_config=vision)
    images = Siglip2ImageProcessor(patch_size=8, max_num_patches=16)
    return save(folder, Siglip2Model(config), images, tokenizer())


def _align(folder: Path) -> Path:
    from transformers import AlignConfig, AlignModel, EfficientNetImageProcessor

    vision = {
        "image_size": 32, "width_coefficient": 0.2, "depth_coefficient": 0.1, "hidden_dim": 640,
        "in_channels": [32, 16], "out_channels": [16, 24], "kernel_sizes": [3, 3], "depthwise_padding": [],
        "strides": [1, 2], "num_block_repeats": [1, 1], "expand_ratios": [1, 6],
    }  # fmt: skip
    config = AlignConfig(text_config={**_LAYERS, **_TEXT}, vision_config=vision, projection_dim=8)
    images = EfficientNetImageProcessor(size={"height": 32, "width": 32})
    return save(folder, AlignModel(config), images, tokenizer())


def _altclip(folder: Path) -> Path:
    from transformers import AltCLIPConfig, AltCLIPModel, CLIPImageProcessor

    text = {**_LAYERS, **_TEXT, "pad_token_id": 1, "project_dim": WIDE, "max_position_embeddings": LONG + 2}
    config = AltCLIPConfig(text_config=text, vision_config={**_LAYERS, **_IMAGE}, projection_dim=6)
    return save(folder, AltCLIPModel(config), _square(CLIPImageProcessor), tokenizer(None))


def _blip(folder: Path) -> Path:
    from transformers import BlipConfig, BlipImageProcessor, BlipModel

    text = {**_LAYERS, **_TEXT, "encoder_hidden_size": WIDE}
    config = BlipConfig(text_config=text, vision_config={**_LAYERS, **_IMAGE}, projection_dim=6)
    size = {"height": 32, "width": 32}
    return save(folder, BlipModel(config), BlipImageProcessor(size=size), tokenizer())


def _clap(folder: Path, fused: bool = False) -> Path:
    from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

    audio = {
        "num_mel_bins": 16, "spec_size": 64, "window_size": 4, "patch_size": 4, "patch_stride": [4, 4],
        "patch_embeds_hidden_size": 8, "hidden_size": 16, "depths": [1, 1], "num_attention_heads": [2, 2],
        "num_hidden_layers": 2, "projection_dim": 24, "enable_fusion": fused,
    }  # fmt: skip
    text = {**_LAYERS, **_TEXT, "pad_token_id": 1, "max_position_embeddings": LONG + 2, "projection_dim": 24}
    config = ClapConfig(text_config=text, audio_config=audio, projection_dim=24)
    sounds = ClapFeatureExtractor(
        feature_size=16, sampling_rate=8000, hop_length=100, max_length_s=1, fft_window_size=256,
        frequency_min=50, frequency_max=4000, truncation="fusion" if fused else "rand_trunc", padding="repeatpad",
    )  # fmt: skip
    return save(folder, ClapModel(config), sounds, tokenizer())


def _vit(folder: Path) -> Path:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    return save(folder, ViTModel(ViTConfig(**_LAYERS, **_IMAGE)), ViTImageProcessor(size={"height": 32, "width": 32}))


def _dinov2(folder: Path) -> Path:
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(hidden_size=WIDE, num_hidden_layers=3, num_attention_heads=2, **_IMAGE)
    return save(folder, Dinov2Model(config), _square(BitImageProcessor))


def _convnext(folder: Path) -> Path:
    from transformers import ConvNextConfig, ConvNextImageProcessor, ConvNextModel

    config = ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)
    return save(folder, ConvNextModel(config), ConvNextImageProcessor(size={"shortest_edge": 32}))


def _bert(folder: Path) -> Path:
    from transformers import BertConfig, BertModel

    return save(folder, BertModel(BertConfig(**_LAYERS, **_TEXT)), tokenizer())


def _roberta(folder: Path) -> Path:
    from transformers import RobertaConfig, RobertaModel

    positions = {"max_position_embeddings": LONG + 2, "pad_token_id": 1}
    return save(folder, RobertaModel(RobertaConfig(**_LAYERS, **{**_TEXT, **positions})), tokenizer(None))


def _gpt2(folder: Path) -> Path:
    from transformers import GPT2Config, GPT2Model

    config = GPT2Config(
        n_embd=WIDE, n_layer=2, n_head=2, n_positions=LONG, vocab_size=60, eos_token_id=2, bos_token_id=2
    )
    return save(folder, GPT2Model(config), tokenizer(pad_token=None, padding_side="left"))


def _t5(folder: Path) -> Path:
    from transformers import T5Config, T5Model

    config = T5Config(d_model=WIDE, d_kv=16, d_ff=48, num_layers=2, num_heads=2, vocab_size=60, pad_token_id=0)
    return save(folder, T5Model(config), tokenizer())


_CONVOLUTIONS = {"conv_dim": (16, 16), "conv_kernel": (10, 3), "conv_stride": (5, 2), "num_conv_pos_embeddings": 16,
                 "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 2}  # fmt: skip


def _wav2vec2(folder: Path) -> Path:
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    model = Wav2Vec2Model(Wav2Vec2Config(**_LAYERS, **_CONVOLUTIONS, vocab_size=20))
    return save(folder, model, Wav2Vec2FeatureExtractor(sampling_rate=16_000))


def _hubert(folder: Path) -> Path:
    from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

    keys = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
    model = HubertModel(HubertConfig(**_LAYERS, **_CONVOLUTIONS, **keys, vocab_size=20))
    return save(folder, model, Wav2Vec2FeatureExtractor(sampling_rate=8000, return_attention_mask=True))


def _wavlm(folder: Path) -> Path:
    from transformers import Wav2Vec2FeatureExtractor, WavLMConfig, WavLMModel

    model = WavLMModel(WavLMConfig(**_LAYERS, **_CONVOLUTIONS, vocab_size=20))
    return save(folder, model, Wav2Vec2FeatureExtractor(sampling_rate=16_000))


def _ast(folder: Path) -> Path:
    from transformers import ASTConfig, ASTFeatureExtractor, ASTModel

    size = {"max_length": 40, "num_mel_bins": 16}
    model = ASTModel(ASTConfig(**_LAYERS, **size, patch_size=8, time_stride=8, frequency_stride=8))
    return save(folder, model, ASTFeatureExtractor(**size))


def _square(processor: Any) -> Any:
    return processor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})


_BUILDERS: dict[str, Callable[[Path], Path]] = {
    "clip": _clip,
    "siglip": _siglip,
    "siglip2": _siglip2,
    "align": _align,
    "altclip": _altclip,
    "blip": _blip,
    "clap": _clap,
    "clap-fused": lambda folder: _clap(folder, fused=True),
    "vit": _vit,
    "dinov2": _dinov2,
    "convnext": _convnext,
    "bert": _bert,
    "roberta": _roberta,
    "gpt2": _gpt2,
    "t5": _t5,
    "wav2vec2": _wav2vec2,
    "hubert": _hubert,
    "wavlm": _wavlm,
    "ast": _ast,
}
