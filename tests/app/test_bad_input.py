"""Bad input through the command line: one sentence, the right exit code, no traceback, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from videopath.app.cli.main import app
from videopath.knowledge import DEFAULT_EMBEDDER, KnowledgeBase, starter_records
from videopath.media.synthetic import render_case, render_slide

HOUR = 3600


def whole_video(folder: Path) -> Path:
    """A video of one second that nothing is wrong with."""
    return render_case(folder / "whole.mp4", seconds=1.0, size=(320, 240))


def folder_without_frames(folder: Path) -> Path:
    """A folder of notes."""
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").write_text("no frame is here")
    return folder / "notes"


def zero_bytes(folder: Path) -> Path:
    """An upload that never began."""
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def truncated(folder: Path) -> Path:
    """An upload that was cut off: the index at the end is lost."""
    data = whole_video(folder).read_bytes()
    (folder / "cut.mp4").write_bytes(data[: len(data) // 2])
    return folder / "cut.mp4"


def text_named_mp4(folder: Path) -> Path:
    """A text under a wrong name."""
    (folder / "text.mp4").write_text("The slide shows a gland.\n" * 400)
    return folder / "text.mp4"


def audio_only(folder: Path) -> Path:
    """A recording of a voice."""
    path = folder / "voice.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode()):
            container.mux(packet)
    return path


def one_pixel(folder: Path) -> Path:
    """An image of one pixel."""
    Image.new("RGB", (1, 1), (200, 120, 180)).save(folder / "pixel.png")
    return folder / "pixel.png"


def blank(folder: Path) -> Path:
    """Glass and nothing on it."""
    Image.new("RGB", (320, 240), (245, 244, 246)).save(folder / "blank.png")
    return folder / "blank.png"


def one_frame(folder: Path) -> Path:
    """A video of a single frame."""
    return _video(folder / "one.mp4", render_slide("colon adenocarcinoma", 7, 640, 480), 1)


def frame_of_8k(folder: Path) -> Path:
    """An image of 7680 x 4320 pixels, as soft as a slide at that size: each sharp part is read for writing."""
    tile = Image.fromarray(render_slide("colon adenocarcinoma", 7, 1920, 1080))
    tile.resize((7680, 4320), Image.Resampling.BICUBIC).save(folder / "8k.jpg", quality=80)
    return folder / "8k.jpg"


def ten_hours_claimed(folder: Path) -> Path:
    """A video of one second whose header says ten hours."""
    data = bytearray(whole_video(folder).read_bytes())
    timescale = 1000
    for box, at, unit in ((b"mvhd", 12, 12), (b"mdhd", 12, 12), (b"tkhd", 20, None), (b"elst", 8, None)):
        place = data.index(box) + 4
        if unit is not None:
            timescale = struct.unpack_from(">I", data, place + unit)[0]
        offset = place + at + (4 if unit is not None else 0)
        struct.pack_into(">I", data, offset, min(10 * HOUR * timescale, 2**32 - 1))
    (folder / "ten-hours.mp4").write_bytes(data)
    return folder / "ten-hours.mp4"


def _video(path: Path, picture: np.ndarray, frames: int) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(8))
        stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def run(*arguments: str | Path) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(answer: Result, code: int, *words: str) -> None:
    """One sentence or two on stderr that say these words, nothing on stdout, and this exit code."""
    assert isinstance(answer.exception, SystemExit), answer.exception
    assert answer.exit_code == code
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    errors = [line for line in answer.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, answer.stderr
    assert len(errors[0]) < 700
    for word in words:
        assert word in errors[0]


def nothing_left(home: Path) -> None:
    """The home folder holds no case, nor any part of one."""
    assert not list(home.glob("cases/*"))
    assert not list(home.rglob("*.part"))
    listed = run("cases", "list", "--json")
    assert listed.exit_code == 0, listed.stderr
    found = json.loads(listed.stdout)
    assert not (found["cases"] if isinstance(found, dict) else found)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda folder: folder / "nowhere.mp4", "nowhere.mp4"),
        (folder_without_frames, "no frames"),
        (zero_bytes, "empty"),
        (truncated, "damaged"),
        (text_named_mp4, "not a video"),
        (audio_only, "sound"),
        (one_pixel, "1×1"),
        (blank, ""),
    ],
    ids=["missing", "no frames", "zero bytes", "truncated", "text", "audio", "one pixel", "blank"],
)
def test_a_source_that_cannot_be_read_is_refused(
    make: Callable[[Path], Path], word: str, tmp_path: Path, own_home: Path
) -> None:
    refused(run("diagnose", make(tmp_path), "--site", "colon", "--json"), 2, word)
    nothing_left(own_home)


@pytest.mark.slow
@pytest.mark.parametrize("make", [one_frame, frame_of_8k, ten_hours_claimed])
def test_an_unusual_but_sound_source_gives_a_report(make: Callable[[Path], Path], tmp_path: Path) -> None:
    answer = run("diagnose", make(tmp_path), "--site", "colon", "--json")
    assert answer.exit_code == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert report["status"] in ("done", "abstained")
    assert report["video"]["duration"] < 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--site", "atlantis"), ("atlantis", "site")),
        (("--site", ""), ("site",)),
        (("--question", ""), ("question", "empty")),
        (("--question", "   "), ("question", "empty")),
        (("--question", "why " * 25_000), ("100,000",)),
        (("--device", "toaster"), ("toaster", "cpu")),
        (("--start", "5", "--end", "2"), ("5", "2")),
        (("--start", "500"), ("500",)),
    ],
)
def test_a_wrong_option_is_refused(
    options: tuple[str, ...], words: tuple[str, ...], tmp_path: Path, own_home: Path
) -> None:
    refused(run("diagnose", whole_video(tmp_path), *options), 2, *words)
    nothing_left(own_home)


@pytest.mark.parametrize(
    "arguments",
    [
        ["diagnose"],
        ["nothing"],
        ["diagnose", "x.mp4", "--frames", "0"],
        ["diagnose", "x.mp4", "--speed", "9"],
        ["diagnose", "x.mp4", "--review", "perhaps"],
        ["diagnose", "x.mp4", "--sampling", "random"],
        ["diagnose", "x.mp4", "--dtype", "int3"],
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_wrong_usage_is_refused(arguments: list[str], own_home: Path) -> None:
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    assert not own_home.exists()


@pytest.mark.parametrize("name", ["no/such-folder", "who/knows/what"])
def test_a_model_that_is_nowhere_is_refused(
    name: str, tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = run("diagnose", whole_video(tmp_path), "--model", name)
    refused(answer, 1, name)
    nothing_left(own_home)


def _copied(source: Path, target: Path) -> Path:
    """A copy that can be written, whatever the rights of the source."""
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    return target


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _overwritten(path: Path) -> None:
    path.write_bytes(b"not a tensor" * 100)


@pytest.mark.parametrize("damage", [_cut, _overwritten, Path.unlink], ids=["cut", "overwritten", "removed"])
def test_a_corrupt_checkpoint_is_refused(
    damage: Callable[[Path], None], shared: Path, tmp_path: Path, own_home: Path
) -> None:
    folder = _copied(shared / "golden/ckpt/tiny/full", tmp_path / "checkpoint")
    shard = sorted(folder.glob("*.safetensors"))[1]
    damage(shard)
    refused(run("diagnose", whole_video(tmp_path), "--site", "colon", "--model", folder), 1, shard.name)
    nothing_left(own_home)


def test_a_checkpoint_with_a_corrupt_description_is_refused(
    shared: Path, tmp_path: Path, own_home: Path
) -> None:
    folder = _copied(shared / "golden/ckpt/tiny/full", tmp_path / "checkpoint")
    (folder / "config.json").write_text("{")
    refused(run("diagnose", whole_video(tmp_path), "--site", "colon", "--model", folder), 1, "config.json")
    nothing_left(own_home)


def test_a_lora_for_another_base_is_refused_and_writes_nothing(shared: Path, tmp_path: Path) -> None:
    checkpoints = shared / "golden/ckpt"
    adapter = checkpoints / "tiny/lora/llava-qwen-lora-peft04-fork"
    target = tmp_path / "merged"
    for command in ("merge", "convert"):
        refused(run("model", command, adapter, target, "--base", checkpoints / "geom384/full"), 1)
        assert list(tmp_path.iterdir()) == []


class _OtherWeights:
    """An encoder that goes by the default's name but has other weights."""

    name = DEFAULT_EMBEDDER
    sha256 = "0" * 64
    dimension = 384

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray:
        vectors = np.random.default_rng(0).standard_normal((len(texts), self.dimension)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_an_index_of_another_embedder_is_refused(tmp_path: Path, own_home: Path) -> None:
    folder = tmp_path / "knowledge"
    KnowledgeBase.build(folder, starter_records()[:5], embedder=_OtherWeights())
    refused(run("knowledge", "search", "glands", "--knowledge", folder), 1, "embedder")
    refused(run("diagnose", whole_video(tmp_path), "--site", "colon", "--knowledge", folder), 1, "embedder")
    nothing_left(own_home)


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("a file")
    monkeypatch.setenv("VIDEOPATH_HOME", str(tmp_path / "file" / "home"))
    refused(run("diagnose", whole_video(tmp_path), "--site", "colon"), 1)


def _in_mounted_home(home: Path, options: str, video: Path) -> subprocess.CompletedProcess[str]:
    """``diagnose`` with a small file system of its own for a home: full or read-only even for root."""
    home.mkdir()
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    script = 'mount -t tmpfs -o "$1" tmpfs "$2" || exit 77; shift; shift; exec "$@"'
    command = [sys.executable, "-m", "videopath.app.cli", "diagnose", str(video), "--site", "colon"]
    if shutil.which("unshare") is None:
        pytest.skip("no unshare here: a full or read-only file system cannot be made")
    answer = subprocess.run(
        [*mount, script, "sh", options, str(home), *command],
        capture_output=True, text=True, env={**os.environ, "VIDEOPATH_HOME": str(home)},
    )  # fmt: skip
    if answer.returncode == 77 or "unshare" in answer.stderr:
        pytest.skip("no file system may be mounted here")
    return answer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"), [("ro,size=1m", "permission"), ("size=16k", "full")], ids=["read-only", "full"]
)
def test_a_home_that_takes_nothing_is_one_sentence(options: str, words: str, tmp_path: Path) -> None:
    answer = _in_mounted_home(tmp_path / "mounted", options, whole_video(tmp_path))
    assert answer.returncode == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    errors = [line for line in answer.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, answer.stderr
    assert words in errors[0] or os.strerror(errno.EROFS) in errors[0]
    assert answer.stdout == ""


def test_a_setting_that_makes_no_sense_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOPATH_FRAMES", "many")
    refused(run("diagnose", whole_video(tmp_path)), 2, "VIDEOPATH_FRAMES")


def test_an_unknown_case_is_refused() -> None:
    for command in ("show", "resume", "export"):
        refused(run("cases", command, "no-such-case"), 1, "no-such-case")
