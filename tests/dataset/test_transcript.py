"""The words of a recording: beside it, inside it, recognised, or none; never a person's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import ModelError
from videopath.dataset.options import TranscriptOptions
from videopath.dataset.records import Cue
from videopath.dataset.transcript import speech
from videopath.dataset.transcript.languages import language_code
from videopath.dataset.transcript.words import in_order, plain, transcribe

_SRT = """1
00:00:01,000 --> 00:00:03,000
<i>Größe</i> &amp; {\\an8}nuclei of
the <b>first</b> case

2
00:00:02,500 --> 00:00:02,500
zero

3
00:00:02,600 --> 00:00:05,000
Patient MRN 4839201, a < b
"""
_SAID = ["Größe & nuclei of the first case", "zero"]
_VTT = """WEBVTT

NOTE nothing

intro
00:01.000 --> 00:03.000 align:start position:0%
<v Narrator>Nuclei</v> &amp; <c.yellow>mitoses</c> <00:02.000>here

00:00:05.000 --> 00:00:04.000
backwards
"""
_ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\b1}First{\\b0}\\Nand second
"""


def _video(path: Path, subtitles: Path | None = None, sound: bool = False) -> Path:
    """Write a second of film, with the subtitles of a file inside it, or with sound."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        words = av.open(str(subtitles)) if subtitles else None
        inside = container.add_stream_from_template(words.streams.subtitles[0]) if words else None
        if inside:
            inside.metadata["language"] = "ger"
        tone = container.add_stream("pcm_s16le", rate=8000) if sound else None
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 20 * number, np.uint8))
            container.mux(picture.encode(frame))
        container.mux(picture.encode())
        if tone:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            samples.sample_rate = 8000
            container.mux(tone.encode(samples))
            container.mux(tone.encode())
        if words and inside:
            for packet in words.demux(words.streams.subtitles[0]):
                if packet.size:
                    packet.stream = inside
                    container.mux(packet)
            words.close()
    return path


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return _video(tmp_path / "case.mkv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_a_subtitle_file_is_read_in_any_encoding(video: Path, encoding: str) -> None:
    video.with_name("case.srt").write_bytes(_SRT.replace("\n", "\r\n").encode(encoding))
    transcript = transcribe(video, TranscriptOptions())
    assert transcript.origin == "subtitle file"
    *said, last = (cue.text for cue in transcript.cues)
    assert said == _SAID
    assert last.endswith("a < b")
    assert "4839201" not in last
    assert [(cue.start, cue.end) for cue in transcript.cues] == [(1.0, 2.5), (2.5, 2.6), (2.6, 5.0)]
    assert transcript.masked == 1


def test_webvtt_and_ass_are_read_without_their_tags(video: Path) -> None:
    video.with_name("case.en-US.vtt").write_text(_VTT)
    transcript = transcribe(video, TranscriptOptions())
    assert [cue.text for cue in transcript.cues] == ["Nuclei & mitoses here"]
    assert transcript.language == "en"
    video.with_name("case.en-US.vtt").unlink()
    video.with_name("Case.ass").write_text(_ASS)
    transcript = transcribe(video, TranscriptOptions())
    assert [(cue.start, cue.end, cue.text) for cue in transcript.cues] == [(1.0, 2.5, "First and second")]


def test_the_file_in_the_asked_language_is_read(video: Path) -> None:
    for code in ("de", "en", "fr"):
        video.with_name(f"case.{code}.srt").write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{code}\n")
    video.with_name("case2.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nof another\n")
    asked = {
        code: transcribe(video, TranscriptOptions(language=code)).cues[0].text for code in ("de", "fr", "")
    }
    assert asked == {"de": "de", "fr": "fr", "": "en"}


@pytest.mark.parametrize(("suffix", "text"), [(".srt", _SRT), (".vtt", _VTT), (".ass", _ASS)])
def test_subtitles_inside_the_video_are_read(tmp_path: Path, suffix: str, text: str) -> None:
    source = tmp_path / f"other{suffix}"
    source.write_text(text)
    transcript = transcribe(_video(tmp_path / "case.mkv", source), TranscriptOptions())
    assert transcript.origin == "subtitles in the video"
    assert transcript.language == "de"
    first = {".srt": _SAID[0], ".vtt": "Nuclei & mitoses here", ".ass": "First and second"}
    assert transcript.cues[0].text == first[suffix]
    assert not any("4839201" in cue.text for cue in transcript.cues)


@pytest.mark.parametrize("data", [b"", b"\x00\x01garbage" * 99, b"no times at all", b"WEBVTT\n\n"])
def test_a_broken_file_is_named_and_the_rest_goes_on(video: Path, data: bytes) -> None:
    video.with_name("case.srt").write_bytes(data)
    transcript = transcribe(video, TranscriptOptions())
    assert transcript.origin == "none"
    assert ".srt file beside it" in transcript.sentence
    video.with_name("case.en.vtt").write_text(_VTT)
    assert transcribe(video, TranscriptOptions()).origin == "subtitle file"


def test_without_words_the_sentence_says_what_is_missing(tmp_path: Path, video: Path) -> None:
    assert "neither subtitles nor sound" in transcribe(video, TranscriptOptions(speech="tiny")).sentence
    heard = transcribe(_video(tmp_path / "heard.mkv", sound=True), TranscriptOptions())
    assert heard.origin == "none"
    assert "--speech" in heard.sentence
    cut_short = tmp_path / "short.mp4"
    cut_short.write_bytes(b"\0\0\0\x18ftypmp42")
    assert "damaged" in transcribe(cut_short, TranscriptOptions()).sentence


def _model(parts: Callable[[], object]) -> SimpleNamespace:
    return SimpleNamespace(transcribe=lambda path, **options: (parts(), SimpleNamespace(language="en")))


def test_speech_is_recognised_where_there_are_no_subtitles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # weights of faster-whisper are on no test machine: a model that says two sentences stands in for them
    said = [
        SimpleNamespace(start=0.1, end=0.5, text=" Dr. Jane Doe, "),
        SimpleNamespace(start=0.5, end=0.9, text=" "),
    ]
    monkeypatch.setattr(speech, "load_model", lambda name: _model(lambda: iter(said)))
    video = _video(tmp_path / "case.mkv", sound=True)
    transcript = transcribe(video, TranscriptOptions(speech="some/model"))
    assert (transcript.origin, transcript.language, transcript.model) == ("speech recognition", "en", "model")
    assert len(transcript.cues) == 1

    def failing() -> object:
        raise RuntimeError("no sound")

    monkeypatch.setattr(speech, "load_model", lambda name: _model(failing))
    assert "cannot be recognised" in transcribe(video, TranscriptOptions(speech="some/model")).sentence


def test_a_missing_speech_model_stops_the_build(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    with pytest.raises(ModelError, match="no speech model"):
        transcribe(
            _video(tmp_path / "case.mkv", sound=True), TranscriptOptions(speech=str(tmp_path / "none"))
        )


def test_codes_of_languages() -> None:
    assert [language_code(text) for text in ("en", "en-US", "GER", "und", "forced", "")] == [
        "en",
        "en",
        "de",
        "",
        "",
        "",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 99), st.floats(0, 99), st.sampled_from(["a", "b", "c"])), max_size=12))
def test_cues_are_in_order_and_last(times: list[tuple[float, float, str]]) -> None:
    mended = in_order([Cue(start=start, end=start + length, text=text) for start, length, text in times])
    assert [cue.start for cue in mended] == sorted(cue.start for cue in mended)
    assert all(cue.end > cue.start for cue in mended)
    assert {cue.text for cue in mended} == {text for _, _, text in times}


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_plain_text_is_one_line(text: str) -> None:
    assert plain(text) == " ".join(plain(text).split())


def test_times_inside_a_video_are_exact(tmp_path: Path) -> None:
    source = tmp_path / "other.srt"
    source.write_text("1\n00:01:00,123 --> 00:01:02,456\nlate\n")
    cue = transcribe(_video(tmp_path / "case.mkv", source), TranscriptOptions()).cues[0]
    assert (cue.start, cue.end) == (pytest.approx(60.123), pytest.approx(62.456))
