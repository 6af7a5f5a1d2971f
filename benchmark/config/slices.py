"""`evaluation.slices`: for which groups of users and items the figures are given apart."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any

from pydantic import BeforeValidator, field_validator, model_validator

from benchmark.data.raw_ids import Numbering
from workbench.config import Settings, as_list

OWN_NAMES = ("all", "user_activity", "item_popularity", "new_items", "modality_coverage")


class ClusterFile(Settings):
    """Groups from a file of lines `id<TAB>group`; the name is that of the file unless given.

    ids : whether the file is under the ids of the parts or under the raw ids behind `*_indexed.tsv`, where its ids do
        not tell.
    """

    file: str
    name: str = ""
    ids: Numbering | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_path(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str) else value

    @property
    def label(self) -> str:
        return self.name or PurePath(self.file).name.split(".")[0]


ClusterFiles = Annotated[list[ClusterFile], BeforeValidator(as_list)]


class SliceSettings(Settings):
    """What is compared with what.

    user_activity : groups of users by training rows: how many, equally filled, or where each but the first begins.
    item_popularity : groups of items by training rows: how many, of equally many training rows, or where each but the
        first begins.
    new_items : items without training rows, and the others.
    modality_coverage : items with features in all, some and none of the loaded modalities.
    users, items : groupings from files.
    """

    user_activity: int | list[int] | None = None
    item_popularity: int | list[int] | None = None
    new_items: bool = False
    modality_coverage: bool = False
    users: ClusterFiles = []
    items: ClusterFiles = []

    @field_validator("user_activity", "item_popularity")
    @classmethod
    def _several(cls, value: int | list[int] | None) -> int | list[int] | None:
        if isinstance(value, int) and value < 2:
            raise ValueError("there should be at least 2 groups")
        if isinstance(value, list) and (not value or value[0] < 1 or value != sorted(set(value))):
            raise ValueError("the beginnings of the second to the last group should be at least 1, and ascend")
        return value

    @model_validator(mode="after")
    def _some_groups(self) -> SliceSettings:
        if not any(getattr(self, key) for key in type(self).model_fields):
            raise ValueError(f"it asks for no groups: give {', '.join(type(self).model_fields)}, or remove `slices`")
        return self

    @model_validator(mode="after")
    def _distinct_names(self) -> SliceSettings:
        labels = [cluster.label for cluster in (*self.users, *self.items)]
        twice = [label for label in labels if labels.count(label) > 1 or label in OWN_NAMES]
        if twice:
            raise ValueError(f"two slices are called {twice[0]!r}: give one a `name`")
        return self
