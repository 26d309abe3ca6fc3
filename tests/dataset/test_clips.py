"""Refined clips: the field, the cursor, the writing, the files and the contact sheet."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from fixtures.fields import Field, draw_arrow, field_film, slide_view
from fixtures.onnx_bytes import constant_model
from PIL import Image

from videopath.core.errors import InputError
from videopath.core.files import sha256_file
from videopath.dataset.clips.cursor import cursor_boxes, find_cursors, without_cursor
from videopath.dataset.clips.detector import detect_field
from videopath.dataset.clips.field_box import find_field, sharpened, small
from videopath.dataset.clips.key_views import key_windows
from videopath.dataset.clips.refining import refine
from videopath.dataset.clips.views import moments
from videopath.dataset.options import ClipOptions
from videopath.dataset.records import Clips, Recording, Segment, Segments
from videopath.dataset.set_folder import SetFolder
from videopath.media.video.source import VideoSource
from videopath.media.writing.reader import read_lines

SIZE = (640, 360)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union."""
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return shared / (sum(areas) - shared)


def pixels(crop: tuple[float, ...], size: tuple[int, int]) -> tuple[float, ...]:
    return tuple(share * side for share, side in zip(crop, size * 2, strict=True))


# The field


@pytest.mark.parametrize(
    ("style", "size"),
    [
        ("none", SIZE), ("light right", (360, 640)), ("thumbnail beside", SIZE), ("eyepiece", SIZE), ("glass", SIZE), ("pale", SIZE),
        ("head beside", SIZE),
    ],
)  # fmt: skip
def test_field_is_what_moves_up_to_the_edges_that_stay(style: str, size: tuple[int, int]) -> None:
    film = field_film(style, 3, size, seconds=5)
    found = find_field([small(frame) for frame in film.frames])
    box = pixels(sharpened(found.crop, film.frames[::5]), size)
    assert overlap(box, film.box) >= 0.9
    assert found.thumbnails == ()


def test_thumbnail_in_the_field_is_found_and_the_field_stays() -> None:
    film = field_film("light thumbnail", 4, SIZE, seconds=5)
    found = find_field([small(frame) for frame in film.frames])
    assert overlap(pixels(found.crop, SIZE), film.box) >= 0.9
    assert film.thumbnail is not None
    assert [overlap(pixels(box, SIZE), film.thumbnail) > 0.7 for box in found.thumbnails] == [True]


def test_field_without_motion_is_found_by_stain() -> None:
    film = field_film("frame", 5, SIZE, seconds=5)
    found = find_field([small(film.frames[3])] * 6)
    assert overlap(pixels(found.crop, SIZE), film.box) >= 0.9


# A detector


def yolo(tmp_path: Path, output: np.ndarray, **other: object) -> Path:
    path = tmp_path / "field.onnx"
    path.write_bytes(constant_model(output, **other))  # type: ignore[arg-type]
    return path


def outputs() -> dict[str, np.ndarray]:
    """The same box, at a quarter to three quarters of the width, as three kinds of models return it."""
    eighth = np.zeros((1, 5, 40), np.float32)
    eighth[0, :, 7] = (32, 32, 32, 24, 0.9)
    eighth[0, :, 8] = (33, 32, 32, 24, 0.8)  # the same thing once more
    fifth = np.zeros((1, 40, 6), np.float32)
    fifth[0, 3] = (32, 32, 32, 24, 0.9, 0.9)
    chosen = np.array([[[16, 20, 48, 44, 0.9, 0]]], np.float32)
    return {"version 8": eighth, "version 5": fifth, "after suppression": chosen}


@pytest.mark.parametrize("kind", ["version 8", "version 5", "after suppression"])
def test_field_by_a_detector(tmp_path: Path, kind: str) -> None:
    pictures = [np.full((90, 120, 3), 200, np.uint8)] * 3  # 64 × 48 of the model's 64 × 64 pixels
    found = detect_field(yolo(tmp_path, outputs()[kind]), pictures)
    assert found.crop == pytest.approx((0.25, 0.25, 0.75, 0.75), abs=0.01)
    assert found.by.startswith("field.onnx ")


def test_detector_that_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path) -> None:
    pictures = [np.full((90, 120, 3), 200, np.uint8)]
    (tmp_path / "field.pt").write_bytes(b"PK")
    (tmp_path / "text.onnx").write_text("no model")
    for path, reason in (
        (tmp_path / "field.pt", "hold code"),
        (tmp_path / "missing.onnx", "There is no model"),
        (tmp_path / "text.onnx", "no ONNX model"),
        (yolo(tmp_path, np.zeros((1, 3))), "returns"),
    ):
        with pytest.raises(InputError, match=reason):
            detect_field(path, pictures)
    with pytest.raises(InputError, match="takes"):
        detect_field(yolo(tmp_path, np.zeros((1, 5, 9)), input_shape=(1, 64)), pictures)
    with pytest.raises(InputError, match="only 0 of 1 frames"):
        detect_field(yolo(tmp_path, np.zeros((1, 5, 9))), pictures)


# The cursor


@pytest.fixture(scope="module")
def tissue() -> list[np.ndarray]:
    view = slide_view(2)
    return [view(number / 8, (400, 300)) for number in range(40)]


@pytest.mark.parametrize(("height", "ink"), [(16, 255), (28, 0)])
def test_cursor_is_found_by_its_own_motion_and_filled(
    tissue: list[np.ndarray], height: int, ink: int
) -> None:
    frames, places = [], []
    for number, frame in enumerate(tissue):
        shown = frame.copy()
        place = 200 + 150 * np.sin(number / 9), 140 + 100 * np.cos(number / 7)
        draw_arrow(shown, place, height, ink)
        frames.append(shown)
        places.append(place)
    templates = find_cursors([tuple(frames[i - 1 : i + 2]) for i in range(1, 39, 3)])  # type: ignore[misc]
    right = 0
    for frame, before, (x, y) in zip(frames[::4], tissue[::4], places[::4], strict=True):
        found = cursor_boxes(frame, templates)
        assert all(abs((box[0] + box[2]) / 2 - x - height / 3) < height for box, _ in found)
        if found:
            filled = without_cursor(frame, found)
            at = np.s_[int(y) : int(y) + height, int(x) : int(x) + height // 2]
            right += (
                np.abs(filled[at].astype(int) - before[at]).mean()
                < 0.7 * np.abs(frame[at].astype(int) - before[at]).mean()
            )
    assert right >= 8


def test_without_a_cursor_nothing_is_found_and_a_label_is_no_cursor(tissue: list[np.ndarray]) -> None:
    labelled = [frame.copy() for frame in tissue]
    for frame in labelled:
        cv2.rectangle(frame, (20, 20), (150, 45), (250, 240, 30), -1)
        cv2.putText(frame, "small cells", (26, 38), 0, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
    for frames in (tissue, labelled):
        assert find_cursors([tuple(frames[i - 1 : i + 2]) for i in range(1, 39, 3)]) == []  # type: ignore[misc]


# Moments and windows


class Times:
    seconds = np.array([0.0, 0.1, 0.2, 1.7, 1.8, 3.0, 3.1])
    duration = 3.2


def test_one_frame_stands_for_each_step_by_presentation_times() -> None:
    chosen = moments(Times(), [(0.1, 1.6), (1.7, 3.2)], 2.0)  # type: ignore[arg-type]
    assert [moment.seconds for moment in chosen] == [0.1, 0.6, 1.1, 1.7, 2.2, 2.7]
    assert [moment.index for moment in chosen] == [1, 2, 2, 3, 4, 4]


def test_key_windows_are_steady_different_and_short(tissue: list[np.ndarray]) -> None:
    still = [cv2.resize(tissue[i], (160, 120)) for i in (0, 39)]
    pan = [np.roll(still[0], 40 * step, axis=1) for step in range(1, 5)]
    film = [still[0]] * 10 + pan + [still[1]] * 10
    windows = key_windows(film, 2.0, 3, 3.0)
    assert 1 < len(windows) <= 3
    assert all(end - start <= 6 and (end <= 10 or start >= 13) for start, end in windows)
    assert all(a[1] <= b[0] for a, b in zip(windows, windows[1:], strict=False))
    assert key_windows(film, 2.0, 0, 3.0) == []


# Whole recordings


@dataclass
class Refined:
    """A recording that was refined once."""

    folder: SetFolder
    video: Path
    recording: Recording
    segments: Segments
    film: Field
    clips: Clips
    shares: list[float]

    def again(self, segments: Segments | None = None, **options: object) -> Clips:
        chosen = ClipOptions.model_validate(OPTIONS | options)
        return refine(
            self.video, self.recording, segments or self.segments, chosen, self.folder, lambda share: None
        )


OPTIONS: dict[str, object] = {"fps": 1.0, "key_clips": 1, "key_seconds": 2.0}
NUMBER = "4839201"


def numbered(film: Field) -> Field:
    """Burn a patient number into the field and into the viewer's bar."""
    left, top, _, _ = film.box
    for frame in film.frames:
        cv2.rectangle(frame, (left + 30, top + 60), (left + 330, top + 90), (250, 240, 30), -1)
        cv2.putText(
            frame, f"MRN {NUMBER} DOB 11.04.1962", (left + 36, top + 82), 0, 0.6, (0, 0, 0), 1, cv2.LINE_AA
        )
        cv2.putText(frame, f"MRN {NUMBER}", (200, 18), 0, 0.6, (230, 230, 230), 1, cv2.LINE_AA)
    return film


@pytest.fixture(scope="module")
def refined(tmp_path_factory: pytest.TempPathFactory) -> Refined:
    folder = tmp_path_factory.mktemp("refined")
    film = numbered(field_film("frame", 7, (640, 480), seconds=4))
    video = film.write(folder / "lecture.mp4")
    recording = Recording(
        id=sha256_file(video)[:16], path="lecture.mp4", sha256=sha256_file(video), seconds=4, width=640, height=480, fps=4
    )  # fmt: skip
    segments = Segments(
        segments=(
            Segment(start=0, end=0.5, kind="title card", title="Case"),
            Segment(start=0.5, end=3.5, kind="slide", case=1, title=f"Colon, MRN {NUMBER}"),
            Segment(start=3.5, end=4, kind="black"),
        )
    )
    made = Refined(SetFolder(folder / "set"), video, recording, segments, film, Clips(clips=()), [])
    options = ClipOptions.model_validate(OPTIONS)
    made.clips = refine(video, recording, segments, options, made.folder, made.shares.append)
    return made


def frames_of(path: Path) -> list[np.ndarray]:
    return [frame for _, frame in VideoSource(path).film()]


def test_clips_are_the_field_alone_without_sound_and_metadata(refined: Refined) -> None:
    case, *keys = refined.clips.clips
    assert case.id == f"{refined.recording.id}-case-1"
    assert [key.id for key in keys] == [f"{case.id}-key-1"]
    assert (case.start, case.end, case.frames, case.fps, case.product) == (0.5, 3.5, 3, 1.0, "case video")
    assert keys[0].product == "keyframe clip"
    assert keys[0].end - keys[0].start <= 2
    assert overlap(pixels(case.crop, (640, 480)), refined.film.box) >= 0.9
    for clip in refined.clips.clips:
        file = refined.folder.path / clip.file
        assert sha256_file(file) == clip.sha256
        assert clip.fingerprints
        with av.open(str(file)) as container:
            (stream,) = container.streams
            assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
            assert (stream.width, stream.height) == (clip.width, clip.height)
            assert clip.width % 2 == clip.height % 2 == 0
            assert not {"title", "encoder", "creation_time", "comment"} & {
                *container.metadata,
                *stream.metadata,
            }
            assert [frame.time for frame in container.decode(stream)] == list(range(clip.frames))


def test_number_is_in_no_product(refined: Refined) -> None:
    case = refined.clips.clips[0]
    personal = [one for one in case.erased if one.kind == "personal"]
    left, top, _, _ = refined.film.box
    written = (left + 30) / 640, (top + 60) / 480, (left + 330) / 640, (top + 90) / 480
    assert any(overlap(one.box, written) > 0.5 and one.filled and len(one.seconds) == 3 for one in personal)
    assert NUMBER not in case.title
    for clip in refined.clips.clips:
        assert read_lines(frames_of(refined.folder.path / clip.file)[1]) == []
    sheet = refined.folder.path / refined.clips.contact_sheet
    with Image.open(sheet) as picture:
        assert picture.format == "JPEG"
        assert not picture.getexif()
        words = " ".join(line.text for line in read_lines(np.asarray(picture.convert("RGB"))[:, :800]))
    assert NUMBER not in words
    assert "Research use only" in words
    assert all(
        NUMBER.encode() not in file.read_bytes() for file in refined.folder.path.rglob("*") if file.is_file()
    )


def test_progress_rises_to_the_end(refined: Refined) -> None:
    assert refined.shares == sorted(refined.shares)
    assert refined.shares[-1] == 1.0


def test_finished_clips_are_not_written_again_and_others_go(refined: Refined) -> None:
    files = {clip.id: refined.folder.path / clip.file for clip in refined.clips.clips}
    before = {id: file.stat().st_mtime_ns for id, file in files.items()}
    files[f"{refined.recording.id}-case-1-key-1"].unlink()  # as if the build had been killed before it
    part = refined.folder.clips / f".{refined.recording.id}-case-1.mp4.0.part"
    part.write_bytes(b"")
    assert refined.again().clips == refined.clips.clips
    after = {id: file.stat().st_mtime_ns for id, file in files.items()}
    assert [id for id in after if after[id] != before[id]] == [f"{refined.recording.id}-case-1-key-1"]
    assert not part.exists()
    fewer = refined.again(writing="keep", key_clips=0).clips
    assert [clip.id for clip in fewer] == [f"{refined.recording.id}-case-1"]
    assert fewer[0].erased == ()
    assert fewer[0].sha256 != refined.clips.clips[0].sha256
    assert [file.name for file in refined.folder.clips.iterdir()] == [f"{refined.recording.id}-case-1.mp4"]


def test_recording_without_slides_has_no_clips(refined: Refined, tmp_path: Path) -> None:
    folder = SetFolder(tmp_path)
    cards = Segments(segments=(Segment(start=0, end=4, kind="title card"),))
    made = refine(refined.video, refined.recording, cards, ClipOptions(), folder, lambda share: None)
    assert made == Clips(clips=())


@pytest.mark.slow
def test_lecture_shows_no_number_to_any_reader(shared: Path, tmp_path: Path) -> None:
    if shutil.which("tesseract") is None:
        pytest.skip("tesseract is not installed")
    video = shared / "data" / "videos" / "lectures" / "lecture_breast_colon.mp4"
    truth = json.loads(video.with_suffix(".truth.json").read_text())["segments"][3]
    start = truth["seconds"][0]
    recording = Recording(
        id="0" * 16, path=video.name, sha256=sha256_file(video), seconds=32, width=1280, height=720, fps=8
    )
    segments = Segments(segments=(Segment(start=start, end=start + 3, kind="slide", case=2),))
    options = ClipOptions(fps=1, key_clips=0, cursor="remove")
    (clip,) = refine(video, recording, segments, options, SetFolder(tmp_path), lambda share: None).clips
    assert overlap(pixels(clip.crop, (1280, 720)), truth["tissue_box"]) >= 0.9
    assert {"thumbnail", "cursor"} <= {one.reason for one in clip.erased}
    assert any(one.kind == "personal" for one in clip.erased)
    for frame in frames_of(tmp_path / clip.file):
        assert read_lines(frame) == []
        Image.fromarray(frame).save(tmp_path / "frame.png")
        read = subprocess.run(
            ["tesseract", str(tmp_path / "frame.png"), "-", "--psm", "11"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert not any(word in read.stdout for word in ("MRN", "4839", "DOB", "1962"))
