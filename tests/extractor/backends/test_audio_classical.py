from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from extractor_cases import Run
from scipy.fft import dct

from extractor.backends import audio_classical as mfcc
from extractor.sources import Recording, resampled
from workbench.errors import UserError

MFCC = {"model_name": "mfcc", "backend": "classical", "output_layers": ["mfcc", "logmel"]}
Sounds = dict[str, tuple[np.ndarray, int]]


def by_hand(samples: np.ndarray) -> np.ndarray:
    """(T, 40) log-mel by the audio tools of the transformers library."""
    from transformers.audio_utils import mel_filter_bank, spectrogram

    filters = mel_filter_bank(257, 40, 0, 8000, 16_000, norm=None, mel_scale="htk")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    found = spectrogram(
        samples,
        window,
        400,
        160,
        fft_length=512,
        power=2.0,
        center=False,
        mel_filters=filters,
        mel_floor=1e-10,
        log_mel="log",
    )
    bands: np.ndarray = found.T
    return bands


def test_statistics_equal_another_library(run: Run, sounds: Sounds) -> None:
    cepstra, bands = run(audio=[MFCC])
    for item, (samples, rate) in sounds.items():
        expected = by_hand(resampled(Recording(samples, rate), 16_000))
        moments = np.concatenate([expected.mean(0), expected.std(0)])
        np.testing.assert_allclose(bands.gather([item])[0][0], moments, atol=1e-4)
        coefficients = dct(expected, type=2, norm="ortho", axis=1)[:, :20]
        steps = np.diff(coefficients, axis=0)
        moments = np.concatenate([coefficients.mean(0), coefficients.std(0), steps.mean(0), steps.std(0)])
        np.testing.assert_allclose(cepstra.gather([item])[0][0], moments, atol=1e-4)
    assert cepstra.path.parts[-4:] == ("aud", "classical", "mfcc", "mfcc")


def test_the_transform_is_an_orthonormal_dct() -> None:
    np.testing.assert_allclose(mfcc.dct_matrix(40, 40), dct(np.eye(40), type=2, norm="ortho", axis=0), atol=1e-12)


def test_a_tone_is_loudest_in_its_band() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    loudest = mfcc.log_mel(tone).mean(0).argmax()
    assert mfcc.mel_filters()[loudest][32] > 0.4  # bin 32 of 257 is 1 kHz


@pytest.mark.parametrize("length", [1, 399, 401, 400 + 160])
def test_short_recordings_give_finite_values(length: int) -> None:
    encoder: Any = object.__new__(mfcc.Backend)
    encoder.model = type("Keys", (), {"seconds": None})
    found = encoder.prepare(Recording(np.zeros(length, dtype=np.float32), 16_000))
    assert all(values.shape == (80,) and np.isfinite(values).all() for values in found.values())


def test_seconds_and_refusals(run: Run, sounds: Sounds) -> None:
    (table,) = run(audio=[{**MFCC, "output_layers": "logmel", "seconds": 0.1}])
    expected = by_hand(sounds["a"][0][:1600]).mean(0)
    np.testing.assert_allclose(table.gather(["a"])[0][0][:40], expected, atol=1e-4)
    with pytest.raises(UserError, match=r"no audio model 'mffc'\n.*'mfcc'"):
        run(audio=[{**MFCC, "model_name": "mffc"}])
    with pytest.raises(UserError, match=r"mfcc has no layer 'mel'\n"):
        run(audio=[{**MFCC, "output_layers": "mel"}])
