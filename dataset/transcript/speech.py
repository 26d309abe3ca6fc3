"""Speech recognition by faster-whisper, an optional package. A model is downloaded only if it is given by a hub name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import av

from videopath.core.errors import InputError, ModelError
from videopath.core.installing import require
from videopath.dataset.options import TranscriptOptions
from videopath.dataset.records import Cue
from videopath.dataset.transcript.languages import language_code


def recognise(video: Path, options: TranscriptOptions) -> tuple[list[Cue], str]:
    """Recognise what is said in a recording.

    Args:
        video: The recording; it has sound.
        options: The model and the language; without a language the model finds it.

    Returns:
        The cues in order, and the ISO 639-1 code of the language.

    Raises:
        ModelError: faster-whisper or the model is missing.
        InputError: The sound of this recording cannot be decoded.
    """
    model = load_model(options.speech)
    try:
        parts, heard = model.transcribe(
            str(video), language=options.language or None, vad_filter=True, condition_on_previous_text=False
        )
        cues = [
            Cue(
                start=round(float(part.start), 3),
                end=round(float(part.end), 3),
                text=" ".join(part.text.split()),
            )
            for part in parts
            if part.text.strip()
        ]
    except (av.FFmpegError, RuntimeError, ValueError, IndexError, OSError) as error:
        raise InputError(f"Its sound cannot be recognised ({type(error).__name__}).") from error
    return cues, language_code(str(heard.language or ""))


@lru_cache(maxsize=1)
def load_model(name: str) -> Any:
    """Load a faster-whisper model, on a GPU if there is one, else on the CPU in 8 bits.

    Args:
        name: The folder of a converted model; or a name such as "small" or "owner/name", which faster-whisper downloads
            once.

    Raises:
        ModelError: The package or the model is missing.
    """
    try:
        require("faster_whisper", "faster-whisper", "speech", "Speech recognition")
    except InputError as error:
        raise ModelError(str(error)) from error
    from ctranslate2 import get_cuda_device_count
    from faster_whisper import WhisperModel

    path = Path(name).expanduser()
    meant_as_path = path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1
    if meant_as_path and not (path / "model.bin").is_file():
        raise ModelError(
            f"There is no speech model in {name}: give the folder of a faster-whisper model, or a name."
        )
    where, numbers = ("cuda", "float16") if get_cuda_device_count() else ("cpu", "int8")
    try:
        return WhisperModel(str(path) if path.is_dir() else name, device=where, compute_type=numbers)
    except (RuntimeError, ValueError, OSError) as error:
        raise ModelError(f"The speech model {name} cannot be loaded: {error}") from error
