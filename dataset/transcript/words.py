"""The words of a recording: subtitles beside it, else subtitles inside it, else recognised speech, else none.

FFmpeg reads all subtitles, through PyAV; only the encoding of a file is found out before. A person's data in the words is
masked. A broken subtitle file never stops a build: the transcript says so.
"""

from __future__ import annotations

import html
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from videopath.core.errors import InputError
from videopath.core.privacy.personal import screened_text
from videopath.dataset.options import TranscriptOptions
from videopath.dataset.plaintext import decoded
from videopath.dataset.records import Cue, Transcript
from videopath.dataset.transcript.languages import language_code

_log = logging.getLogger(__name__)

SUBTITLE_SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
"""Subtitle files beside a recording, the preferred first."""

_FORMATS = {".srt": "srt", ".vtt": "webvtt", ".ass": "ass", ".ssa": "ass"}
_TEXT_CODECS = {"mov_text", "subrip", "srt", "webvtt", "ass", "ssa", "text"}
_RAW_CODECS = {"subrip", "srt", "text"}
_LARGEST = 50_000_000  # bytes of a subtitle file
_LONGEST_CUE = 30.0  # seconds; for a cue without an end
_TAG = re.compile(r"\{\\?[^{}]*\}|</?[A-Za-z][^<>]*>|<\d[\d:.]*>")
_BREAK = re.compile(r"\\[Nn]|\s+")
_HIDDEN = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True)
class _Words:
    """Cues as they were found, before anything is masked."""

    cues: list[Cue]
    language: str = ""


def transcribe(video: Path, options: TranscriptOptions) -> Transcript:
    """Find the words of a recording.

    Args:
        video: The recording.
        options: The speech model, if any, and the language.

    Returns:
        The words in order, or none; :attr:`Transcript.sentence` says where they come from.

    Raises:
        ModelError: Speech recognition is asked for, and its package or model is missing.
    """
    problems: list[str] = []
    for file in subtitle_files(video, options.language):
        try:
            words = _from_file(file, video)
        except InputError as error:
            problems.append(str(error))
            continue
        # the name itself is not said: it may hold a person's name
        return _transcript(
            "subtitle file",
            words,
            options,
            f"The words come from the {file.suffix.lower()} file beside it.",
            problems,
        )
    try:
        inside, sound = _from_video(video, options.language)
    except av.FFmpegError as error:
        problems.append(
            f"The video cannot be searched for subtitles: it is damaged ({type(error).__name__})."
        )
        inside, sound = None, False
    if inside is not None:
        return _transcript(
            "subtitles in the video",
            inside,
            options,
            "The words come from the subtitles in the video.",
            problems,
        )
    if options.speech and sound:
        return _recognised(video, options, problems)
    if options.speech:
        reason = "There are no words: it has neither subtitles nor sound."
    elif sound:
        reason = "There are no words: it has no subtitles; give --speech MODEL to recognise what is said."
    else:
        reason = "There are no words: it has neither subtitles nor sound."
    return Transcript(origin="none", language=options.language, sentence=" ".join([*problems, reason]))


def subtitle_files(video: Path, language: str = "") -> list[Path]:
    """Return the subtitle files beside a recording, the best first.

    A file belongs to it if it has its name, with or without a language: ``case.srt``, ``case.en.vtt``. A file in the
    asked language comes first, then one without a language, then English.
    """
    stem = video.stem.casefold()

    def rank(file: Path) -> tuple[bool, bool, bool, int, str]:
        code = _language_of(file, video)
        return (
            bool(language) and code != language,
            bool(code),
            code != "en",
            SUBTITLE_SUFFIXES.index(file.suffix.lower()),
            file.name,
        )

    found = (
        file
        for file in video.parent.iterdir()
        if file.suffix.lower() in SUBTITLE_SUFFIXES
        and (file.stem.casefold() == stem or file.stem.casefold().startswith(f"{stem}."))
        and file.is_file()
    )
    return sorted(found, key=rank)


def _language_of(file: Path, video: Path) -> str:
    """Return the language that a subtitle file's name states: "case.en.srt", "case.en-US.forced.srt"."""
    codes = (language_code(part) for part in file.stem[len(video.stem) :].split("."))
    return next((code for code in codes if code), "")


def _from_file(file: Path, video: Path) -> _Words:
    kind = file.suffix.lower().removeprefix(".")
    try:
        if file.stat().st_size > _LARGEST:
            raise InputError(
                f"The .{kind} file beside it is larger than {_LARGEST // 1_000_000} MB and was not read."
            )
        text = decoded(file.read_bytes())
    except OSError as error:
        raise InputError(f"The .{kind} file beside it cannot be read: {error.strerror or error}.") from error
    try:
        with av.open(io.BytesIO(text.encode()), format=_FORMATS[file.suffix.lower()]) as container:
            cues = _cues(container, container.streams.subtitles[0]) if container.streams.subtitles else []
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"The .{kind} file beside it is not a subtitle file or is damaged.") from error
    if not cues:
        raise InputError(f"The .{kind} file beside it has no words that can be read.")
    return _Words(cues, _language_of(file, video))


def _cues(container: Any, stream: Any) -> list[Cue]:
    """Read all cues of a subtitle stream, in order of time."""
    cues = []
    for packet in container.demux(stream):
        if packet.pts is None or not packet.size:
            continue
        raw = stream.codec_context.name in _RAW_CODECS  # FFmpeg would take "a < b and c > d" for a tag
        text = plain(bytes(packet).decode("utf-8", errors="replace") if raw else " ".join(_said(packet)))
        start = float(packet.pts * packet.time_base)
        length = float((packet.duration or 0) * packet.time_base)
        if text and start >= 0 and length >= 0:
            cues.append(Cue(start=round(start, 3), end=round(start + length, 3), text=text))
    return in_order(cues)


def _said(packet: Any) -> Iterator[str]:
    try:
        subtitles = packet.decode()
    except av.FFmpegError:
        _log.info("A subtitle that cannot be decoded was left out.")
        return
    for subtitle in subtitles:
        for part in subtitle if hasattr(subtitle, "__iter__") else (subtitle,):
            dialogue = getattr(part, "dialogue", b"") or b""
            yield dialogue.decode("utf-8", errors="replace") if isinstance(dialogue, bytes) else str(dialogue)


def plain(text: str) -> str:
    """Return a cue's text on one line, without tags of SubRip, WebVTT and ASS, with entities as characters."""
    text = _HIDDEN.sub("", _BREAK.sub(" ", _TAG.sub("", text)))
    return " ".join(_HIDDEN.sub("", html.unescape(text)).split())


def in_order(cues: Sequence[Cue]) -> list[Cue]:
    """Sort cues by time and mend them.

    A cue without a length lasts until the next one; a cue that overlaps the next one ends where that begins, unless both
    begin together; what is said twice in a row at once, as in rolling subtitles, is kept once.
    """
    ordered = sorted(cues, key=lambda cue: (cue.start, cue.end))
    mended: list[Cue] = []
    for number, cue in enumerate(ordered):
        following = next((later.start for later in ordered[number + 1 :] if later.start > cue.start), None)
        end = cue.end
        if end <= cue.start:
            end = min(following if following is not None else cue.start + 2.0, cue.start + _LONGEST_CUE)
        elif following is not None:
            end = min(end, following)
        last = mended[-1] if mended else None
        if last and last.text == cue.text and cue.start - last.end < 0.1:
            mended[-1] = last.model_copy(update={"end": max(last.end, end)})
        else:
            mended.append(cue.model_copy(update={"end": end}))
    return mended


def _from_video(video: Path, language: str) -> tuple[_Words | None, bool]:
    """Read the text subtitles inside a video; also return whether it has sound."""
    with av.open(str(video), options={"protocol_whitelist": "file"}, metadata_errors="replace") as container:
        sound = bool(container.streams.audio)
        streams = [
            stream for stream in container.streams.subtitles if stream.codec_context.name in _TEXT_CODECS
        ]
        numbers = [
            stream.index
            for stream in sorted(
                streams,
                key=lambda one: (bool(language) and language_code(one.language or "") != language, one.index),
            )
        ]
    for number in numbers:
        with av.open(
            str(video), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as container:
            stream = container.streams[number]
            cues = _cues(container, stream)
            if cues:
                return _Words(cues, language_code(stream.language or "")), sound
    return None, sound


def _recognised(video: Path, options: TranscriptOptions, problems: Sequence[str]) -> Transcript:
    from videopath.dataset.transcript.speech import recognise

    try:
        cues, language = recognise(video, options)
    except InputError as error:
        sentence = " ".join([*problems, f"There are no words: {error}"])
        return Transcript(origin="none", language=options.language, sentence=sentence)
    said = f"The words were recognised by the speech model {Path(options.speech).name}; they may hold errors."
    if not cues:
        sentence = " ".join([*problems, f"There are no words: {Path(options.speech).name} heard no speech."])
        return Transcript(origin="none", language=options.language, sentence=sentence)
    return _transcript(
        "speech recognition", _Words(cues, language), options, said, problems, model=Path(options.speech).name
    )


def _transcript(
    origin: Any,
    words: _Words,
    options: TranscriptOptions,
    sentence: str,
    problems: Sequence[str],
    model: str = "",
) -> Transcript:
    screened = [(cue, screened_text(cue.text)) for cue in words.cues]
    return Transcript(
        origin=origin,
        language=options.language or words.language,
        model=model,
        sentence=" ".join([*problems, sentence]),
        cues=tuple(cue.model_copy(update={"text": result.text}) for cue, result in screened),
        masked=sum(result.masked for _, result in screened),
    )
