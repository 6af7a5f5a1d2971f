"""A folder of recordings, `<item id>.<extension>`, read by libsndfile."""

from __future__ import annotations

from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from extractor.sources.base import Unusable
from extractor.sources.folder import Folder
from workbench.errors import UserError

if TYPE_CHECKING:
    from types import ModuleType

MOST_SECONDS = 3600  # a longer file is more than one recording; decoded, an hour of stereo takes 1.3 GB


class Recording(NamedTuple):
    """Mono samples (N,) float32, usually within -1 and 1, and their number a second."""

    samples: NDArray[np.float32]
    rate: int


class AudioFolder(Folder):
    """The recordings of a folder; the formats are those of libsndfile.

    Raises
    ------
    UserError : as `Folder`; and where the package soundfile is not installed.
    """

    extensions = frozenset({".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au"})
    noun, plural = "recording", "recordings"

    def __init__(self, path: Path, where: str, pairs: bool = False) -> None:
        _soundfile(where)
        super().__init__(path, where, pairs)

    def read(self, place: int) -> Recording:
        """The whole recording, its channels averaged, at the rate of the file."""
        return read_recording(self.path / self._names[place])


def read_recording(path: Path) -> Recording:
    """Decode a recording.

    Raises
    ------
    Unusable : broken, empty, not finite, or longer than an hour.
    """
    soundfile = _soundfile(str(path))
    try:
        if path.stat().st_size == 0:
            raise Unusable("the file is empty")
        with soundfile.SoundFile(path) as file:
            seconds = file.frames / file.samplerate
            if seconds > MOST_SECONDS:
                raise Unusable(f"{seconds / 60:.0f} minutes are more than {MOST_SECONDS // 60}")
            samples, rate = file.read(dtype="float32", always_2d=True).mean(axis=1), file.samplerate
    except (OSError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        raise Unusable(f"not a recording that libsndfile can read: {str(error).rsplit(': ', 1)[-1]}") from None
    if not len(samples):
        raise Unusable("the recording has no samples")
    if not np.isfinite(samples).all():
        raise Unusable("the recording has samples that are no numbers")
    return Recording(samples, rate)


def resampled(recording: Recording, rate: int) -> NDArray[np.float32]:
    """The samples (N,) at another rate, by a polyphase filter."""
    from scipy.signal import resample_poly

    if recording.rate == rate:
        return recording.samples
    common = gcd(recording.rate, rate)
    samples: NDArray[np.float32] = resample_poly(recording.samples, rate // common, recording.rate // common)
    return samples.astype(np.float32)


def _soundfile(where: str) -> ModuleType:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: the package without its library
        raise UserError(
            "recordings need the package soundfile", where=where, mend="pip install 'bottega[audio]'"
        ) from error
    module: ModuleType = soundfile
    return module
