"""Mel-frequency cepstral statistics: features of recordings that need no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from extractor.backends.base import Encoder, Surroundings
from extractor.config import AudioModel
from extractor.layers import Layer, by_name
from extractor.sources import Recording, resampled
from workbench.config import nearest
from workbench.errors import UserError

Floats = NDArray[np.float64]

RATE = 16_000  # samples a second
FRAME, HOP, FFT = 400, 160, 512  # 25 ms every 10 ms
BANDS, COEFFICIENTS = 40, 20
_FLOOR = 1e-10  # of the power, before its logarithm
_BLOCK = 4096  # frames transformed at once, so that an hour does not need gigabytes
_LAYERS = ("mfcc", "logmel")


class Backend(Encoder[AudioModel]):
    """Layers `mfcc` and `logmel` of model `mfcc`.

    mfcc   : 20 mel-frequency cepstral coefficients (Davis and Mermelstein, 1980): their means and standard
             deviations over time, and those of their differences from frame to frame; 80 values.
    logmel : means and standard deviations of the logarithms of 40 mel bands; 80 values.

    Frames of 25 ms every 10 ms at 16 kHz, periodic Hann window, power spectrum, triangular mel filters (HTK's
    mel scale, 0 to 8 kHz), natural logarithm, orthonormal DCT-II.
    """

    uses = frozenset({"seconds"})
    packages = ("numpy", "scipy", "soundfile")

    def __init__(self, model: AudioModel, around: Surroundings) -> None:
        super().__init__(model, around)
        if model.model_name != "mfcc":
            raise UserError(
                f"classical has no audio model {model.model_name!r}",
                where=around.where,
                mend=nearest(model.model_name, ["mfcc"]),
            )
        by_name(model.layer_names, _LAYERS, around.where, "mfcc")

    def recipe(self) -> dict[str, Any]:
        frames = {"rate": RATE, "frame": FRAME, "hop": HOP, "fft": FFT}
        return {"frames": frames, "bands": BANDS, "coefficients": COEFFICIENTS, "seconds": self.model.seconds}

    def start(self, layers: Sequence[Layer]) -> None:
        self._layers = list(layers)

    def prepare(self, content: Recording) -> dict[str, NDArray[np.float32]]:
        """Layer name -> (80,) float32: all the work, done in the worker."""
        samples = resampled(content, RATE)
        if self.model.seconds is not None:
            samples = samples[: max(1, round(self.model.seconds * RATE))]
        bands = log_mel(samples)
        cepstra = bands @ dct_matrix(COEFFICIENTS, BANDS).T
        steps = np.diff(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
        return {"mfcc": _moments(cepstra, steps), "logmel": _moments(bands)}

    def encode(self, batch: Sequence[dict[str, NDArray[np.float32]]]) -> Mapping[Layer, np.ndarray]:
        return {layer: np.stack([found[layer.name] for found in batch]) for layer in self._layers}


def log_mel(samples: NDArray[np.float32]) -> Floats:
    """(N,) at 16 kHz -> (T, 40) natural logarithms of mel power; a shorter recording is one frame with silence."""
    samples = np.pad(samples, (0, max(0, FRAME - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)
    filters = mel_filters()
    blocks = []
    for start in range(0, len(frames), _BLOCK):
        power = np.abs(np.fft.rfft(frames[start : start + _BLOCK] * window, FFT)) ** 2
        blocks.append(np.log(np.maximum(power @ filters.T, _FLOOR)))
    return np.concatenate(blocks)


def mel_filters() -> Floats:
    """(40, 257): triangles whose corners are evenly spaced in mel = 2595 log10(1 + hertz / 700)."""
    mels = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    hertz = np.linspace(0, RATE / 2, FFT // 2 + 1)
    rising = (hertz - corners[:-2, None]) / (corners[1:-1] - corners[:-2])[:, None]
    falling = (corners[2:, None] - hertz) / (corners[2:] - corners[1:-1])[:, None]
    filters: Floats = np.maximum(0, np.minimum(rising, falling))
    return filters


def dct_matrix(rows: int, size: int) -> Floats:
    """The first rows of the orthonormal DCT-II: c[k, n] = s[k] cos(pi k (2n + 1) / 2N), s[0] = sqrt(1/N)."""
    matrix = np.cos(np.pi * np.arange(rows)[:, None] * (2 * np.arange(size) + 1) / (2 * size)) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    scaled: Floats = matrix
    return scaled


def _moments(*series: Floats) -> NDArray[np.float32]:
    """Means and standard deviations over time, of each series after the other."""
    return np.concatenate([moment for one in series for moment in (one.mean(0), one.std(0))]).astype(np.float32)
