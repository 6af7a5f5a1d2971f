"""Elliot's `side_information`: which features are loaded, and what stands in where there are none."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from loguru import logger
from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from benchmark.data.modalities import POLICIES, Control, Normalisation, Policy
from workbench.config import Settings

_FEATURE_KEY = {"VisualAttribute": "visual", "TextualAttribute": "textual", "AudioAttribute": "audio"}
_WITHOUT_EFFECT = {
    "visual_pca_features": "models reduce features themselves",
    "visual_feat_map_features": "models read vectors, not feature maps",
    "images_src_folder": "images are read by the extractor",
    "output_image_size": "images are read by the extractor, whose key is `reshape`",
}


Paths = str | list[str]


class MissingSettings(Settings):
    """What happens to items without features; a plain string is a policy with its default settings.

    error : refuse. drop : the items leave the data set. zeros, mean, random : see `benchmark.data.modalities`.
    neighbour_mean : `top_k`. multi_hop : `hops`, `top_k`. pagerank : `alpha`, `top_k`. heat : `time`, `top_k`.
    """

    policy: Literal[
        "error", "drop", "zeros", "mean", "random", "neighbour_mean", "multi_hop", "pagerank", "heat"
    ]  # fmt: skip
    top_k: PositiveInt | None = None
    hops: PositiveInt | None = None
    alpha: Annotated[float, Field(ge=0.01, le=1)] | None = None
    time: Annotated[PositiveFloat, Field(le=100)] | None = None

    @model_validator(mode="after")
    def _own_keys(self) -> MissingSettings:
        kind = POLICIES.get(self.policy)
        legal = [] if kind is None else [field.name for field in fields(kind)]  # type: ignore[arg-type]
        strange = [key for key in self._given() if key not in legal]
        if strange:
            raise ValueError(f"{self.policy} takes {' and '.join(legal) or 'no further key'}, given: {strange[0]}")
        return self

    def build(self) -> Policy:
        """The policy that these settings describe."""
        if self.policy == "error" or self.policy == "drop":
            return self.policy
        return POLICIES[self.policy](**self._given())

    def _given(self) -> dict[str, Any]:
        return self.model_dump(exclude={"policy"}, exclude_none=True)


class SideInformation(Settings):
    """One loader of item features.

    Elliot's three loaders each name their modality and take the path as `visual_features`, `textual_features` or
    `audio_features`; `Attribute` takes any `name`, and the path as `features`. A path is a feature table, a folder of
    `.npy` files, or a matrix (`.npy`), whose rows are item numbers or, with `ids`, the items of a file. Several paths
    are alternatives. `source` says what the rows are of: `items`, or `interactions` (reviews), which are averaged over
    an item's training rows.
    """

    dataloader: Literal["VisualAttribute", "TextualAttribute", "AudioAttribute", "Attribute"]
    name: Annotated[str, Field(pattern=r"^[\w.+-]+$")] | None = None
    features: Paths | None = None
    visual_features: Paths | None = None
    textual_features: Paths | None = None
    audio_features: Paths | None = None
    ids: str | None = None
    source: Literal["items", "interactions"] = "items"
    missing: MissingSettings = MissingSettings(policy="error")
    normalise: Normalisation = "none"
    control: Control | None = None

    @model_validator(mode="before")
    @classmethod
    def _set_aside(cls, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("dataloader") != "VisualAttribute":
            return value
        for key in _WITHOUT_EFFECT.keys() & value.keys():
            logger.info("VisualAttribute: `{}` has no effect here: {}", key, _WITHOUT_EFFECT[key])
        return {key: given for key, given in value.items() if key not in _WITHOUT_EFFECT}

    @field_validator("missing", mode="before")
    @classmethod
    def _plain_policy(cls, value: Any) -> Any:
        return {"policy": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _own_keys(self) -> SideInformation:
        general = self.dataloader == "Attribute"
        own = ["name", "features"] if general else [f"{_FEATURE_KEY[self.dataloader]}_features"]
        keys = ["name", "features", *(f"{modality}_features" for modality in _FEATURE_KEY.values())]
        given = [key for key in keys if getattr(self, key)]
        if given != own:
            takes = "the keys name and features" if general else f"the key {own[0]}"
            raise ValueError(f"{self.dataloader} takes {takes}, given: {', '.join(given) or 'none'}")
        if not all(self.paths) or len(set(self.paths)) < len(self.paths):
            raise ValueError(f"{self._path_key} names a path twice, or an empty one")
        matrices = [path.endswith(".npy") for path in self.paths]
        if self.ids is not None and not all(matrices):
            raise ValueError("`ids` names the rows of a matrix (.npy); other sources name theirs themselves")
        if self.source == "interactions" and any(matrices) and self.ids is None:
            raise ValueError("a matrix of interactions needs `ids`, one <user>__<item> a line")
        return self

    @property
    def modality(self) -> str:
        """Name of the modality."""
        return str(self.name) if self.dataloader == "Attribute" else _FEATURE_KEY[self.dataloader]

    @property
    def paths(self) -> list[str]:
        """The alternatives, as the file has them."""
        given = getattr(self, self._path_key)
        return [given] if isinstance(given, str) else list(given)

    @property
    def path(self) -> str:
        """Where the features lie, of a loader without alternatives."""
        (path,) = self.paths
        return path

    def reading(self, path: str) -> SideInformation:
        """The same loader of one path."""
        return self.model_copy(update={self._path_key: path})

    @property
    def _path_key(self) -> str:
        return "features" if self.dataloader == "Attribute" else f"{self.modality}_features"
