"""The launcher of the extractor: `python extractor/run.py --config X.yml [--key.sub value ...]`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

if __name__ == "__main__":
    # Run as a script, Python puts this folder first on the path; the packages lie one floor up.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

try:
    from workbench.config import assignments
    from workbench.console import run_command
    from workbench.errors import UserError
except ModuleNotFoundError as missing:
    sys.exit(f"{missing.name} is not installed: run `make install`, then `source .venv/bin/activate`")

USAGE = """\
usage: python extractor/run.py --config FILE [--plan] [--shard I/N] [--weights-root FOLDER] [--KEY.SUB VALUE ...]

Turns the contents of a catalogue into feature tables, as the YAML file says (Ducho's keys).

  --config FILE          the YAML file, or a folder with one YAML file in it
  --plan                 print items, layers, dimensions, disk and an estimate of the time; nothing is written
  --shard I/N            compute the I-th of N shares (1/4 ... 4/4), in as many processes, on one machine or on
                         several with a common folder; the last one puts the tables together
  --weights-root FOLDER  where weights lie that cannot be downloaded, by model name, for example
                         FOLDER/sentence-transformers/all-MiniLM-L6-v2/ or FOLDER/resnet50-11ad3fa6.pth
                         (also: the environment variable BOTTEGA_WEIGHTS_ROOT)
  --KEY.SUB VALUE        set a key of the file; places in lists by number, counted from 0:
                         --textual.items.model.0.batch_size 64   --gpu_list -1
  --set KEY.SUB=VALUE    the same, as `bottega run` has it
  --help                 this text

`--key=value` is understood as well. A second run does again only what has changed, and a run that was stopped
goes on where it was.
"""


@dataclass
class Arguments:
    """What stands on the command line."""

    config: str
    weights_root: str | None = None
    overrides: list[tuple[str, str]] = field(default_factory=list)
    shard: str | None = None
    plan: bool = False


def parse_arguments(words: list[str]) -> Arguments:
    """Read the command line of the launcher.

    Raises
    ------
    UserError : something that is no `--key`, a key without a value, or no `--config`.
    """
    found, alone = key_values([word for word in words if word != "--plan"])
    if alone:
        raise UserError(f"{alone[0]!r} is no option", mend="write `--key value`; `--help` shows all")
    own = {key: value for key, value in found if key in ("config", "shard", "weights-root", "weights_root")}
    if "config" not in own:
        raise UserError("no configuration was given", mend="add `--config config_files/extract_demo.yml`")
    overrides = overrides_of([(key, value) for key, value in found if key not in own])
    root = own.get("weights-root", own.get("weights_root"))
    return Arguments(own["config"], root, overrides, own.get("shard"), "--plan" in words)


def key_values(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """`--key value` and `--key=value` as pairs, where a value may start with one dash (`--gpu_list -1`), and the words
    that belong to no key.

    Raises
    ------
    UserError : a key without a value.
    """
    found: list[tuple[str, str]] = []
    alone: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("--") or word == "--":
            alone.append(word)
            continue
        key, equals, value = word[2:].partition("=")
        if not equals:
            value = next(rest, "--")
            if value.startswith("--"):
                raise UserError(f"`--{key}` has no value", mend=f"write `--{key} value`")
        found.append((key, value))
    return found, alone


def overrides_of(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is to be set in the file: `--set KEY=VALUE` is the same as `--KEY VALUE`."""
    return [each for key, value in pairs for each in (assignments([value]) if key == "set" else [(key, value)])]


def extract(given: Arguments) -> None:
    """Show the plan, extract a share, or extract all.

    Raises
    ------
    UserError : see `extractor.extraction`; and a share of a plan.
    """
    if given.shard is not None and given.plan:
        raise UserError("`--plan` is for the whole, not for a share of it", mend="leave out `--shard`")
    from extractor.chunks import Shard
    from extractor.extraction import run_extraction, show_plan

    if given.plan:
        show_plan(given.config, given.overrides, given.weights_root)
        return
    shard = None if given.shard is None else Shard.parse(given.shard)
    run_extraction(given.config, given.overrides, given.weights_root, shard, show=True)


def main(arguments: list[str] | None = None) -> None:
    """Run the extractor from the command line."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or "--help" in words or "-h" in words:
        print(USAGE, end="")
        return
    run_command(lambda: extract(parse_arguments(words)))


if __name__ == "__main__":
    main()
