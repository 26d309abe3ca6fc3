"""The build of a set: the stages over a folder of recordings, broken files, corrected cuts, stops, repeats."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import Result
from fixtures.lectures import Part, black, card, compose, drawn_view, slide
from typer.testing import CliRunner

from videopath.app.cli.main import app
from videopath.core.errors import InputError
from videopath.dataset.build import build_set, stages_of
from videopath.dataset.options import BuildOptions, ClipOptions, SegmentOptions
from videopath.dataset.records import Clips, Segments, Transcript
from videopath.dataset.set_folder import SetFolder

SIZE = (480, 360)
OPTIONS = BuildOptions(clips=ClipOptions(key_clips=0))


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small lecture: a card, a slide, a black pause, a card, another slide; with subtitles beside it."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("lecture") / "talk.mp4"
    parts = [
        Part("title card", 2.0, card(SIZE, rng, "light"), "light"),
        Part("slide", 4.0, slide(SIZE, rng, "full", drawn_view(1)), "full"),
        Part("title card", 2.0, card(SIZE, rng, "dark"), "dark"),
        Part("slide", 4.0, slide(SIZE, rng, "full", drawn_view(2)), "full"),
        Part("black", 1.0, black(SIZE), "black"),
    ]
    compose(path, parts, SIZE, fps=8)
    path.with_suffix(".srt").write_text(
        "1\n00:00:03,000 --> 00:00:05,000\nThe glands are crowded. The patient is Mr John Doe, MRN 4839201.\n\n"
        "2\n00:00:09,000 --> 00:00:11,000\nThis is a colon adenocarcinoma.\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def folder(lecture: Path, tmp_path: Path) -> Path:
    """A folder with the lecture and files that cannot be used."""
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for file in lecture.parent.iterdir():
        shutil.copy(file, recordings)
    whole = lecture.read_bytes()
    (recordings / "cut short.mp4").write_bytes(whole[: len(whole) // 2])
    (recordings / "no video.mp4").write_bytes(b"words")
    (recordings / "again").mkdir()
    shutil.copy(lecture, recordings / "again" / "copy of it.mp4")
    return recordings


def run(*arguments: object) -> Result:
    """Run the command line."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def contents(path: Path) -> dict[str, bytes]:
    """The files of a set but for its lock."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != ".lock"
    }


@pytest.mark.slow
def test_a_folder_becomes_a_set_whatever_else_lies_in_it(
    folder: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "set"
    done = run("dataset", "build", folder, "--out", out, "--model", "none", "--key-clips", "1", "--json")
    assert done.exit_code == 0, done.stderr
    document = json.loads(done.stdout)
    (video,) = document["videos"]
    assert Path(video["path"]) in (folder / "talk.mp4", folder / "again" / "copy of it.mp4")
    found = [(part["start"], part["end"], part["kind"]) for part in video["segments"]]
    assert [kind for *_, kind in found] == ["slide", "slide"]
    assert np.allclose([times[:2] for times in found], [(2, 6), (8, 12)], atol=0.5)
    named = {Path(file["path"]).name for file in document["passed_over"]}
    assert {"cut short.mp4", "no video.mp4"} < named
    assert len(named) == 3  # one of the two copies as well
    for name in named:
        assert name in done.stderr
    assert b"4839201" not in b"".join(contents(out).values())
    assert b"John Doe" not in b"".join(contents(out).values())
    drafts = json.loads((out / "instructions.json").read_text())
    assert drafts == []  # what no person has finished is not in the set
    # the second run finds everything up to date and changes no byte
    before = contents(out)
    again = run("dataset", "build", folder, "--out", out, "--model", "none", "--key-clips", "1", "--json")
    assert again.exit_code == 0, again.stderr
    assert contents(out) == before


@pytest.mark.slow
def test_corrected_cuts_are_read_back_and_only_what_depends_on_them_is_done_again(
    lecture: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    first = build_set(lecture, out, OPTIONS, ("transcript", "segments", "clips"))
    ((recording, segments),) = first.cuts
    assert len(segments.slides) == 2
    transcript = (out / "recordings" / recording.id / "transcript.json").stat().st_mtime_ns
    lines = (out / "cuts.csv").read_text(encoding="utf-8-sig").splitlines()
    kept = [line for line in lines if not line.rstrip().endswith("2") and ",2," not in line]
    assert len(kept) == len(lines) - 1
    (out / "cuts.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    second = build_set(lecture, out, OPTIONS, ("transcript", "segments", "clips"))
    ((_, corrected),) = second.cuts
    assert corrected.corrected
    assert len(corrected.slides) == 1
    clips = SetFolder(out).result(recording, "clips", Clips)
    assert clips is not None
    assert {clip.case for clip in clips.clips} == {1}
    assert (out / "recordings" / recording.id / "transcript.json").stat().st_mtime_ns == transcript


def test_a_stage_needs_the_one_before_it(lecture: Path, tmp_path: Path) -> None:
    result = build_set(lecture, tmp_path / "set", OPTIONS, ("clips",))
    (passed_over,) = result.passed_over
    assert "segments" in passed_over.reason
    assert "--from segments" in passed_over.reason


def test_new_subtitles_are_read_and_old_results_are_not(lecture: Path, tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    shutil.copy(lecture, recordings / "talk.mp4")
    out = SetFolder(tmp_path / "set")

    def words() -> str:
        build_set(recordings, out.path, OPTIONS, ("transcript",))
        (recording,) = out.recordings()
        transcript = out.result(recording, "transcript", Transcript)
        assert transcript is not None
        return " ".join(cue.text for cue in transcript.cues)

    assert words() == ""
    (recordings / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nCrowded glands.\n")
    assert words() == "Crowded glands."
    (recordings / "talk.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nFew glands.\n")
    assert words() == "Few glands."


@pytest.mark.slow
def test_a_killed_build_goes_on_and_loses_no_finished_item(lecture: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    command = [sys.executable, "-m", "videopath.app.cli", "dataset", "build", str(lecture), "--out", str(out)]
    command += ["--model", "none", "--key-clips", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        segments = out / "recordings"
        deadline = time.monotonic() + 120
        while not list(segments.glob("*/segments.json")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    (finished,) = segments.glob("*/segments.json")
    made = finished.stat().st_mtime_ns
    build_set(lecture, out, BuildOptions(clips=ClipOptions(key_clips=1)))
    assert finished.stat().st_mtime_ns == made
    (recording,) = SetFolder(out).recordings()
    assert SetFolder(out).result(recording, "clips", Clips) is not None
    assert not list(out.rglob("*.part"))


def test_what_cannot_be_built_is_one_sentence(tmp_path: Path) -> None:
    gone = run("dataset", "build", tmp_path / "gone", "--out", tmp_path / "set")
    assert (gone.exit_code, "There is no folder" in gone.stderr) == (2, True)
    (tmp_path / "empty").mkdir()
    empty = run("dataset", "build", tmp_path / "empty", "--out", tmp_path / "set")
    assert (empty.exit_code, "has no video" in empty.stderr) == (2, True)
    both = run(
        "dataset", "build", tmp_path / "empty", "--out", tmp_path / "set", "--only", "clips", "--from", "set"
    )
    assert (both.exit_code, "exclude each other" in both.stderr) == (2, True)
    with pytest.raises(InputError, match="exclude each other"):
        stages_of("clips", "set")


def test_a_recording_of_a_few_frames_or_of_sound_alone_is_named(tmp_path: Path) -> None:
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    with av.open(str(recordings / "few.mp4"), "w") as target:
        stream = target.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(10):
            target.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24"))
            )
        target.mux(stream.encode())
    with av.open(str(recordings / "sound.mp4"), "w") as target:
        sound = target.add_stream("aac", rate=44100)
        sound.layout = "mono"
        for number in range(20):
            samples = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            samples.sample_rate, samples.pts = 44100, number * 1024
            target.mux(sound.encode(samples))
        target.mux(sound.encode())
    result = build_set(recordings, tmp_path / "set", OPTIONS, ("segments",))
    reasons = {file.path: file.reason for file in result.passed_over}
    assert set(reasons) == {"few.mp4", "sound.mp4"}
    assert "only 10 frames" in reasons["few.mp4"]
    assert "video" in reasons["sound.mp4"]


def test_the_options_of_a_stage_alone_decide_whether_it_is_done_again() -> None:
    shorter = OPTIONS.model_copy(update={"segments": SegmentOptions(shortest=2.0)})
    assert shorter.segments != OPTIONS.segments
    assert shorter.clips == OPTIONS.clips
    assert Segments(segments=()).slides == []
