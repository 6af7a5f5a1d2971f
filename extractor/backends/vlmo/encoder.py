"""VLMo as a backend of the extractor."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from extractor.backends.base import ModelT
from extractor.backends.beit3.images import HALVES
from extractor.backends.beit3.unified import OWN_ROUTE, Output, UnifiedEncoder, trunk_outputs
from extractor.backends.vlmo import tokens
from extractor.weights import HubModel, find_hub_model, unloadable

if TYPE_CHECKING:
    from extractor.backends.vlmo.model import Vlmo

_LACKING = {  # layer -> the flag of `Sizes` that it needs, and what is to be said without it
    "itc": ("itc", "itc_text_proj.fc.weight; use the layer `cls`"),
    "itc_vl": ("itc_vl", "itc_vl_text_proj.fc.weight; use the layer `cls`"),
    "joint_pooled": ("pooler", "pooler.dense.weight; use the layer `joint_cls`"),
}


class VlmoEncoder(UnifiedEncoder[ModelT]):
    """Images and texts through VLMo (Bao et al. 2021; specification part 2.2).

    `model_name` is the name of a published checkpoint, found as `<model_name>.pt` (or .pth, ...) under the weights
    root, or a file; `weights` names a file outright. Base, base plus, large and other sizes are recognised by the
    shapes. The tokenizer is `bert-base-uncased`, from the weights root or the cache, or the folder that
    `tokenizer_name` names; texts are cut to 40 tokens. Images are of the checkpoint's size.

    Layers (`output_layers`), d values each:

    - `itc`: the side alone, CLS token, its contrastive head, length 1.
    - `itc_vl`: the same with the VL expert from the layer on from which there is one, and that one's head.
    - `cls`, `mean`: the side alone; its CLS token, or the mean of its other tokens, after the last LayerNorm.
    - a number n: the side alone; its CLS token after n layers (0: embeddings, -1: the last; no LayerNorm).
    - `joint_cls`, `joint_mean`, `joint_<n>`: the same from one pass over text and image together. Each side is
      read at its own tokens.
    - `joint_pooled`: the pooler on the first token (the text's CLS); the same in both tables.
    """

    architecture = "VLMo"
    published = "linked in the README of microsoft/unilm, folder vlmo"
    padding = 0  # [PAD]; masked, so that its number changes nothing

    @cached_property
    def _tokenizer_found(self) -> HubModel:
        name = getattr(self.model, "tokenizer_name", None) or tokens.NAME
        return find_hub_model(name, self.around.weights_root, self.around.where)

    def recipe(self) -> dict[str, Any]:
        recipe = super().recipe()
        if "visual" in self.sides:
            recipe["preprocessing"] = {"resample": "bicubic", **HALVES._asdict()}
        if "textual" in self.sides:
            recipe |= {"tokenizer": self._tokenizer_found.identity, "longest_text_in_tokens": tokens.LONGEST}
        return recipe

    def load(self) -> Vlmo:
        from extractor.backends.vlmo.weights import load_vlmo

        model = load_vlmo(self.weights)
        self._sizes = model.sizes
        self.edge = model.sizes.grid * model.sizes.patch
        if "textual" in self.sides:
            found = self._tokenizer_found
            try:
                self._tokenizer = tokens.Tokenizer(found)
            except (OSError, ValueError, KeyError) as error:
                around = self.around
                raise unloadable(found.name, found, around.weights_root, around.where, error) from error
            self._tokenizer.check(model.sizes.vocabulary)
        return model

    def outputs(self, side: str) -> dict[str, Output]:
        joined = len(self.sides) == 2
        own = OWN_ROUTE[side]
        found = trunk_outputs(side, self._sizes.depth, joined)
        if self._sizes.pooler and joined:
            found["joint_pooled"] = Output("joint", pooling="start", head="pooler")
        if self._sizes.itc_vl:
            found["itc_vl"] = Output(f"{own}_vl", head="itc_vl")
        if self._sizes.itc:
            found["itc"] = Output(own, head="itc")
        return found

    def lacking(self, name: str) -> str | None:
        flag, reason = _LACKING.get(name, ("", ""))
        return f"the checkpoint has no {reason}" if flag and not getattr(self._sizes, flag) else None

    def tokens(self, text: str) -> list[int]:
        return self._tokenizer(text, self._sizes.longest)

    def describe(self) -> dict[str, Any]:
        sizes = self._sizes
        found = {"layers": sizes.depth, "width": sizes.width, "heads": sizes.heads, "vl_from": sizes.joint_from}
        return super().describe() | found | {"positions": "relative" if sizes.relative else "absolute"}
