"""What is to be done: for every model of a source the tables that are missing, changed, or finished."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extractor.backends import find_backend
from extractor.backends.base import Encoder, Surroundings
from extractor.config import Config, ModelSettings, refuse_unused
from extractor.layers import Layer, requested_layers
from extractor.layout import output_folder, table_path
from extractor.sources import ImageFolder, JoinedSource, Source, TextFile
from workbench.errors import UserError
from workbench.features import matrix_path, read_manifest
from workbench.files import fingerprint


@dataclass
class Table:
    """One table to be: where it lies and what determines its values."""

    layer: Layer
    path: Path
    output: Path
    recipe: dict[str, Any]
    fingerprint: str
    reason: str | None
    """Why it is extracted; None where the finished table is used again."""


@dataclass
class Job:
    """One model of a source."""

    modality: str
    model: ModelSettings
    encoder: Encoder[Any]
    tables: list[Table] = field(default_factory=list)

    @property
    def pending(self) -> list[Table]:
        return [table for table in self.tables if table.reason is not None]


@dataclass
class SourceJobs:
    """One source and all its models."""

    modality: str
    source: Source
    jobs: list[Job]
    outputs: list[Path]


def plan(config: Config, weights_root: Path | None) -> list[SourceJobs]:
    """Open every source, find every backend, and compare each table with what is on disk; nothing is written.

    Raises
    ------
    UserError : any fault of the configuration or of the sources, before anything is extracted.
    """
    unfinished = [_open_models(config, modality, items, weights_root) for modality, items in config.sources()]
    _refuse_collisions(job for jobs in unfinished for job in jobs)
    plans = []
    for (modality, items), jobs in zip(config.sources(), unfinished, strict=True):
        source = _open_source(config, modality, items)
        outputs = []
        for job in jobs:
            recipe: dict[str, Any] = {
                "modality": modality,
                "backend": job.model.backend,
                "model": job.model.model_name,
            }
            recipe |= {"clear_text": True} if getattr(job.model, "clear_text", False) else {}
            recipe |= job.encoder.recipe()
            for table in job.tables:
                table.recipe = recipe | {"layer": table.layer.name, "side": table.layer.side}
                table.fingerprint = fingerprint([table.recipe, source.content])
                table.reason = _why(table, source, config.settings.per_item)
                outputs.append(table.output)
        plans.append(SourceJobs(modality, source, jobs, list(dict.fromkeys(outputs))))
    return plans


def _open_models(config: Config, modality: str, items: Any, weights_root: Path | None) -> list[Job]:
    jobs = []
    for place, model in enumerate(items.model):
        at = (modality, "items", "model", place)
        where = config.where(*at)
        backend = find_backend(modality, model.backend, config.where(*at, "backend"))
        refuse_unused(model, backend.uses | ({"clear_text"} if modality == "textual" else set()), where)
        encoder = backend(model, Surroundings(where, weights_root, config.settings.gpu_list[0]))
        job = Job(modality, model, encoder)
        for layer in requested_layers(modality, model, config.where(*at, "output_layers")):
            output = output_folder(config, items, layer.side)
            job.tables.append(Table(layer, table_path(output, modality, model, layer), output, {}, "", None))
        jobs.append(job)
    return jobs


def _open_source(config: Config, modality: str, items: Any) -> Source:
    where = config.where(modality, "items", "input_path")
    if modality == "visual":
        return ImageFolder(config.dataset / items.input_path, where)
    if modality == "textual":
        return TextFile(config.dataset / items.input_path, items.item_column, items.text_column, where)
    return JoinedSource(
        ImageFolder(config.dataset / items.input_path.visual, where),
        TextFile(config.dataset / items.input_path.textual, items.item_column, items.text_column, where),
    )


def _refuse_collisions(jobs: Iterable[Job]) -> None:
    taken: dict[str, str] = {}
    for job in jobs:
        for table in job.tables:
            # folded: a file system may not tell ResNet50 from resnet50
            place = str(table.path.resolve()).casefold()
            name = f"{job.modality} {job.model.model_name} ({table.layer.side} {table.layer.name})"
            if place in taken:
                raise UserError(
                    f"{taken[place]} and {name} would both be written to {table.path}",
                    where=job.encoder.around.where,
                    mend="remove one, or give it another `output_path`",
                )
            taken[place] = name


def _why(table: Table, source: Source, per_item: bool) -> str | None:
    """Why a table has to be extracted; None where the one on disk is the same."""
    try:
        manifest = read_manifest(table.path)
    except UserError:
        return "its manifest cannot be read"
    if manifest is None:
        return "not extracted yet" if not table.path.exists() else "the folder there has no manifest"
    if manifest.get("fingerprint") == table.fingerprint:
        complete = matrix_path(table.path).is_file() and (table.path.is_dir() or not per_item)
        return None if complete else "a part of it is missing"
    old = manifest.get("recipe", {})
    changed = [key for key in {**old, **table.recipe} if old.get(key) != table.recipe.get(key)]
    if changed:
        return "changed: " + ", ".join(changed)
    before = {*manifest["ids"], *(line["item"] for line in manifest.get("quarantined", []))}
    now = set(source.ids)
    if before != now:
        return f"the items changed: {len(now - before)} new, {len(before - now)} gone"
    return f"the content of {source.path} changed"


def pending_jobs(jobs: list[Job]) -> Iterator[Job]:
    """The jobs with a table to extract."""
    return (job for job in jobs if job.pending)
