"""BEiT-3 as a backend of the extractor."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extractor.backends.base import ModelT, Surroundings
from extractor.backends.beit3 import tokens
from extractor.backends.beit3.images import HALVES, IMAGENET
from extractor.backends.beit3.unified import OWN_ROUTE, Output, UnifiedEncoder, trunk_outputs
from workbench.errors import UserError
from workbench.files import sha256_file

if TYPE_CHECKING:
    from extractor.backends.beit3.model import Beit3

_LACKING = {  # layer -> the flag of `Sizes` that it needs, and what is to be said without it
    "itc": ("itc", "vision_head.weight; use beit3_base_itc_patch16_224, or the layer `cls`"),
    "joint_pooled": ("pooler", "pooler.dense.weight, as VQA checkpoints have it; use the layer `joint_cls`"),
    "fc_norm": ("fc_norm", "fc_norm.weight, as checkpoints fine-tuned on ImageNet have it; use the layer `mean`"),
}


class Beit3Encoder(UnifiedEncoder[ModelT]):
    """Images and texts through BEiT-3 (Wang et al. 2022; specification part 2.1).

    `model_name` is the name of a published checkpoint, found as `<model_name>.pth` (or .safetensors, ...) under
    the weights root, or a file; `weights` names a file outright. Base, large and any other size are recognised
    by the shapes. Texts are cut to 64 tokens.

    Layers (`output_layers`), d values each:

    - `itc`: the side alone, CLS token, its contrastive head, length 1; for `itc` checkpoints, and the features
      to compare images with texts by.
    - `cls`, `mean`: the side alone; its CLS token, or the mean of its other tokens, after the last LayerNorm.
    - a number n: the side alone; its CLS token after n layers (0: embeddings, -1: the last; no LayerNorm).
    - `joint_cls`, `joint_mean`, `joint_<n>`: the same from one pass over image and text together. Each side is
      read at its own tokens: `joint_cls` is the image's CLS token in the visual table and the text's <s> in the
      textual one.
    - `joint_pooled`: the pooler of VQA checkpoints on the joint image CLS token; the same in both tables.
    - `fc_norm`: mean of the patches and LayerNorm, of checkpoints fine-tuned on ImageNet (images only). These
      have no last LayerNorm, so their `cls` and `mean` are without one, and their pixels are normalised with
      ImageNet's mean and deviation; all others with 0.5 and 0.5.
    """

    architecture = "BEiT-3"
    published = "linked in the README of microsoft/unilm, folder beit3"
    padding = tokens.PAD

    def __init__(self, model: ModelT, around: Surroundings) -> None:
        super().__init__(model, around)
        self._reshape: tuple[int, int] | None = getattr(model, "reshape", None)
        if self._reshape is not None and len(set(self._reshape)) > 1:
            raise UserError(
                f"`reshape: {list(self._reshape)}`: BEiT-3 takes squares",
                where=around.where,
                mend=f"write [{max(self._reshape)}, {max(self._reshape)}], or leave it out",
            )

    @cached_property
    def _tokenizer_file(self) -> Path:
        return tokens.find_tokenizer(getattr(self.model, "tokenizer_name", None), self.weights, self.around)

    def recipe(self) -> dict[str, Any]:
        recipe = super().recipe()
        if "visual" in self.sides:
            edges = list(self._reshape) if self._reshape else "the checkpoint's own"
            recipe["preprocessing"] = {"reshape": edges, "resample": "bicubic", "moments": "the checkpoint's own"}
        if "textual" in self.sides:
            file = self._tokenizer_file
            recipe["tokenizer"] = {"file": file.name, "sha256": sha256_file(file)}
            recipe["longest_text_in_tokens"] = tokens.LONGEST
        return recipe

    def load(self) -> Beit3:
        from extractor.backends.beit3.weights import load_beit3

        model = load_beit3(self.weights, None if self._reshape is None else self._reshape[0])
        self._sizes = sizes = model.sizes
        self.edge = sizes.grid * sizes.patch
        self.moments = IMAGENET if sizes.fc_norm else HALVES
        self._longest = min(tokens.LONGEST, sizes.longest)
        if "textual" in self.sides:
            self._tokenizer = tokens.Tokenizer(self._tokenizer_file)
            self._tokenizer.check(sizes.vocabulary)
        return model

    def outputs(self, side: str) -> dict[str, Output]:
        joined = len(self.sides) == 2
        found = trunk_outputs(side, self._sizes.depth, joined)
        if self._sizes.fc_norm and side == "visual":
            found["fc_norm"] = Output("image", pooling="mean", head="fc_norm")
        if self._sizes.pooler and joined:
            found["joint_pooled"] = Output("joint", pooling="start", head="pooler")
        if self._sizes.itc:
            found["itc"] = Output(OWN_ROUTE[side], head="itc")
        return found

    def lacking(self, name: str) -> str | None:
        flag, reason = _LACKING.get(name, ("", ""))
        return f"the checkpoint has no {reason}" if flag and not getattr(self._sizes, flag) else None

    def tokens(self, text: str) -> list[int]:
        return self._tokenizer(text, self._longest)

    def describe(self) -> dict[str, Any]:
        sizes = self._sizes
        return super().describe() | {"layers": sizes.depth, "width": sizes.width, "heads": sizes.heads}
