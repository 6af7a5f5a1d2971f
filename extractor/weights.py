"""Finding weights: under a weights root, in a library's cache, or by download; and telling which they are."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import getproxies

from workbench.errors import UserError
from workbench.files import sha256_file

WEIGHT_FILES = (".pth", ".pt", ".safetensors", ".bin", ".ckpt")


@dataclass(frozen=True)
class HubModel:
    """A Hugging Face model: what to hand to `from_pretrained`, and what identifies its weights."""

    name: str
    revision: str | None
    identity: dict[str, str]


def find_hub_model(name: str, root: Path | None, where: str) -> HubModel:
    """Find a model by hub id or folder: a folder as named, under the weights root, in the cache, on the hub.

    Raises
    ------
    UserError : it cannot be had; the sentence says where it was looked for and how to supply it.
    """
    looked = [Path(name), *([] if root is None else [root / name, root / Path(name).name])]
    for folder in looked:
        if folder.is_dir():
            return HubModel(str(folder), None, {"source": "local", "sha256": sha256_tree(folder)})
    if is_path(name):
        raise UserError(f"the model folder {name} does not exist", where=where, mend="check `model_name`")
    return HubModel(name, revision := _revision(name, root, where), {"source": "hub", "revision": revision})


def _revision(name: str, root: Path | None, where: str) -> str:
    """The commit of a hub repository's `main`; the cached one where the hub cannot be reached."""
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(name, "config.json", local_files_only=not _hub_reachable())
    except Exception as error:  # the library raises its own, httpx's and OSErrors
        raise weights_missing(name, where, root, reason=_first_sentence(error)) from error
    return Path(path).parent.name


def weights_missing(name: str, where: str, root: Path | None, reason: str) -> UserError:
    """The one sentence for hub weights that cannot be had."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"
    return UserError(
        f"the weights of {name} cannot be had ({reason}); looked in {_shown_root(root)}, "
        f"in the cache {cache}, and at {constants.ENDPOINT}/{name}",
        where=where,
        mend="download them where there is a network and put the folder at "
        f"{root or 'FOLDER'}/{name} (with --weights-root {root or 'FOLDER'}), "
        "or give a local folder as `model_name`",
    )


def unloadable(name: str, found: HubModel, root: Path | None, where: str, error: BaseException) -> UserError:
    """The sentence for a model that was found but that its library cannot load: parts missing, or broken."""
    if found.revision is not None:
        return weights_missing(name, where, root, reason=_first_sentence(error))
    return UserError(
        f"the model folder {found.name} cannot be loaded ({_first_sentence(error)})",
        where=where,
        mend="copy the folder again, with its weights, tokenizer and configuration files",
    )


def quiet_loading() -> None:
    """No progress bars of transformers while it reads a file of weights: they tear ours."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def published_missing(name: str, where: str, root: Path | None, cache: Path, url: str, reason: str) -> UserError:
    """The one sentence for torchvision weights that cannot be had."""
    return UserError(
        f"the published weights of {name} cannot be had ({reason}); looked in {_shown_root(root)}, "
        f"for {cache}, and at {url}",
        where=where,
        mend=f"put that file at {cache} or under --weights-root {root or 'FOLDER'}, or set `weights: "
        "path/to/state_dict.pth` (`weights: random` gives meaningless features, for a dry run)",
    )


def find_weight_file(root: Path | None, architecture: str, published: str) -> Path | None:
    """A weight file for a torchvision architecture under the root: the published name, else `resnet50*.pth`.

    A file of a longer architecture (`vgg11_bn-....pth` for `vgg11`) does not count: after the name comes
    `-` or `.`.

    Raises
    ------
    UserError : several fit.
    """
    if root is None:
        return None
    if (root / published).is_file():
        return root / published
    fits = re.compile(rf"{re.escape(architecture)}(-.*)?", re.IGNORECASE)
    found = sorted(
        path
        for folder in (root, root / architecture)
        if folder.is_dir()
        for path in folder.iterdir()
        if path.suffix in WEIGHT_FILES and fits.fullmatch(path.stem)
    )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"several files could be the weights of {architecture}: {names}", where=root, mend="keep one")
    return found[0] if found else None


def is_path(name: str) -> bool:
    """Whether a model name is written as a path and so cannot be a hub id."""
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).is_absolute()


def sha256_tree(folder: Path) -> str:
    """SHA-256 over the names and bytes of a folder's files, hidden ones aside."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            digest.update(f"{path.relative_to(folder).as_posix()}\t{sha256_file(path)}\n".encode())
    return digest.hexdigest()


def _hub_reachable() -> bool:
    """Whether asking the hub can succeed; without a name server the library would retry for half a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    host = urlparse(constants.ENDPOINT).hostname
    if host is None or getproxies() or os.environ.get("ALL_PROXY"):
        return True
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True


def _shown_root(root: Path | None) -> str:
    return f"the weights root {root}" if root else "no weights root (none was given)"


def _first_sentence(error: BaseException) -> str:
    words: Sequence[str] = str(error).split()
    sentence = " ".join(words).split(". ")[0].rstrip(".")
    return f"{type(error).__name__}: {sentence[:160]}"
