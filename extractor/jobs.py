"""What is to be done: for every model of a source the tables that are missing, changed, or finished."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from extractor.backends import find_backend
from extractor.backends.base import Encoder, Surroundings
from extractor.config import Block, Config, ModelSettings, refuse_unused
from extractor.fusion import Fused
from extractor.layers import Layer, requested_layers
from extractor.layout import output_folder, table_path
from extractor.sources import Source
from extractor.sources.opening import open_source
from workbench.errors import UserError
from workbench.features import matrix_intact, matrix_path, read_manifest
from workbench.files import fingerprint
from workbench.runtime import versions


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
    key: str = ""
    """Hash of all that determines the bytes of its rows, beside their contents and the number of threads."""


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
    unfinished = [_open_models(config, block, weights_root) for block in config.sources()]
    _refuse_collisions(job for jobs in unfinished for job in jobs)
    plans = []
    for block, jobs in zip(config.sources(), unfinished, strict=True):
        source = open_source(config, block)
        outputs = []
        for job in jobs:
            recipe: dict[str, Any] = {
                "modality": block.name,
                "backend": job.model.backend,
                "model": job.model.model_name,
            }
            recipe |= {"clear_text": True} if getattr(job.model, "clear_text", False) else {}
            recipe |= {"precision": job.model.precision} if job.model.precision != "fp32" else {}
            recipe |= {"compile": True} if job.model.compile else {}
            recipe |= job.encoder.recipe()
            setting = _setting(job, source)
            for table in job.tables:
                table.recipe = recipe | {"layer": table.layer.name, "side": table.layer.side}
                table.fingerprint = fingerprint([table.recipe, source.content])
                table.key = fingerprint([table.recipe, setting])
                table.reason = why(table, source, config.settings.per_item)
                outputs.append(table.output)
        plans.append(SourceJobs(block.name, source, jobs, list(dict.fromkeys(outputs))))
    return plans


def _open_models(config: Config, block: Block, weights_root: Path | None) -> list[Job]:
    jobs, modality = [], block.modality
    for place, model in enumerate(block.settings.model):
        at = (*block.at, "model", place)
        where = config.where(*at)
        backend = find_backend(modality, model.backend, config.where(*at, "backend"))
        refuse_unused(model, backend.uses | _common_keys(modality, backend), where)
        encoder = backend(model, Surroundings(where, weights_root, config.settings.gpu_list[0], modality))
        if getattr(model, "fusion", None):
            encoder = Fused(encoder, modality)
        job = Job(modality, model, encoder)
        for layer in requested_layers(modality, model, config.where(*at, "output_layers")):
            output = output_folder(config, block.settings, model, layer.side)
            job.tables.append(Table(layer, table_path(output, modality, model, layer), output, {}, "", None))
        jobs.append(job)
    return jobs


def _common_keys(modality: str, backend: type[Encoder[Any]]) -> set[str]:
    """The keys that every backend of a kind has, without a line of its own."""
    keys = {"clear_text"} if modality == "textual" else set()
    keys |= {"precision"} if "torch" in backend.packages else set()
    return keys | ({"compile"} if backend.networks is not Encoder.networks else set())


def _setting(job: Job, source: Source) -> dict[str, Any]:
    """What changes the last bits of a row, and so keeps the chunks of two runs apart, but makes no other table."""
    return {
        "batch_size": job.model.batch_size,
        "chunk": job.encoder.chunk,
        "device": "cpu" if job.encoder.around.gpu < 0 else "gpu",
        "versions": versions(*job.encoder.packages),
        "corpus": source.content if job.encoder.needs_corpus else None,
    }


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


def why(table: Table, source: Source, per_item: bool) -> str | None:
    """Why a table has to be extracted; None where the one on disk is the same."""
    try:
        manifest = read_manifest(table.path)
    except UserError:
        return "its manifest cannot be read"
    if manifest is None:
        return "not extracted yet" if not table.path.exists() else "the folder there has no manifest"
    if manifest.get("fingerprint") == table.fingerprint:
        if not matrix_path(table.path).is_file() or (per_item and not table.path.is_dir()):
            return "a part of it is missing"
        return None if matrix_intact(table.path, manifest) else "its matrix was changed"
    old = manifest.get("recipe", {})
    changed = [key for key in {**old, **table.recipe} if old.get(key) != table.recipe.get(key)]
    if changed:
        return "changed: " + ", ".join(changed)
    before = {*manifest["ids"], *(line["item"] for line in manifest.get("quarantined", []))}
    now = set(source.ids)
    if before != now:
        return f"the items changed: {len(now - before)} new, {len(before - now)} gone"
    return f"the content of {source.path} changed"
