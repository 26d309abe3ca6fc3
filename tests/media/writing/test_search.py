"""Writing in the frames: real teaching videos with known texts, drawn labels and codes, and tissue without texts."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from videopath.media.clip import Clip, open_clip
from videopath.media.masks import Masks
from videopath.media.synthetic import ENTITIES, render_slide
from videopath.media.writing import remembered, search
from videopath.media.writing.boxes import PixelBox
from videopath.media.writing.mask import mask_frames
from videopath.media.writing.reader import Line, read_lines
from videopath.media.writing.records import BurnedIn
from videopath.media.writing.search import find_writing

SECRETS = ("4839201", "11.04", "1962")


def drawn(frame: np.ndarray, text: str, at: tuple[int, int], plate: bool = True) -> np.ndarray:
    """Letters 16 px high, black on a yellow plate or white without a plate."""
    picture = frame.copy()
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 1)
    if plate:
        corners = (at[0] - 5, at[1] - height - 5), (at[0] + width + 5, at[1] + 5)
        cv2.rectangle(picture, *corners, (255, 240, 60), -1)
    ink = (0, 0, 0) if plate else (255, 255, 255)
    return cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, ink, 1 if plate else 2, cv2.LINE_AA)


@pytest.fixture(scope="module")
def tissue() -> Clip:
    """Four frames that pan over a drawn slide; it is a little soft, as most videos are, so that little of it is read."""
    slide = cv2.GaussianBlur(render_slide("colon adenocarcinoma", 3, 600, 320), (0, 0), 2)
    frames = np.stack([slide[:, number * 30 : number * 30 + 480] for number in range(4)])
    return Clip(
        path=Path("pan"), frames=frames, seconds=np.arange(4.0), indices=np.arange(4), fps=1, duration=4, width=480,
        height=320, total_frames=4, sha256="", sampling="uniform", kind="folder", reader="opencv",
    )  # fmt: skip


def labelled(clip: Clip, frames: range, text: str = "MRN 4839201", at: tuple[int, int] = (40, 250)) -> Clip:
    pictures = [drawn(f, text, at) if n in frames else f for n, f in enumerate(clip.frames)]
    return replace(clip, frames=np.stack(pictures))


def read_again(frames: np.ndarray) -> str:
    """All that the reader reads in frames, and tesseract in the last one, if it is installed."""
    words = [line.text for frame in frames for line in read_lines(frame)]
    if shutil.which("tesseract"):
        picture = cv2.imencode(".png", np.ascontiguousarray(frames[-1][..., ::-1]))[1].tobytes()
        command, environment = (
            ["tesseract", "stdin", "stdout", "--psm", "11"],
            {**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
        done = subprocess.run(command, input=picture, capture_output=True, check=True, env=environment)
        words.append(done.stdout.decode())
    return "\n".join(words)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "start"), [("appendix_fullframe", 9.0), ("breast_colon", 16.0)])
def test_the_texts_of_teaching_videos_are_found_and_cannot_be_read_afterwards(
    shared: Path, name: str, start: float
) -> None:
    path = shared / f"data/videos/lectures/lecture_{name}.mp4"
    clip = open_clip(path, frames=3, start=start, end=start + 12, writing="keep")
    truth = json.loads(path.with_suffix(".truth.json").read_text(encoding="utf-8"))
    masked, found = mask_frames(clip.frames, clip.seconds, "mask-all", False)
    width, height = truth["size"]
    hits = []
    for burned in (text for segment in truth["segments"] for text in segment.get("burned_in_text", [])):
        (begin, end), (x, y) = burned["seconds"], burned["at"]
        for seconds in (second for second in clip.seconds.tolist() if begin + 0.1 < second < end - 0.1):
            boxes = [writing.box for writing in found.writings if seconds in writing.seconds]
            hits.append(any(box[0] <= x / width and box[1] <= y / height <= box[3] for box in boxes))
    assert len(hits) >= 2
    assert all(hits)
    assert all(writing.filled for writing in found.writings)
    left = read_again(masked)
    assert not [
        word for word in ("4839201", "11.04", "1962", "Diagnosis", "bloody", "viewer") if word in left
    ]


@pytest.mark.slow
def test_a_patient_number_is_filled_by_default_and_other_words_stay(shared: Path) -> None:
    path = shared / "data/videos/lectures/lecture_breast_colon.mp4"
    clip = open_clip(path, frames=2, start=18, end=29, writing="mask-personal")
    assert clip.writing is not None
    (personal,) = [writing for writing in clip.writing.writings if writing.kind == "personal"]
    assert personal.filled
    assert "record number" in personal.reason
    assert personal.seconds == clip.seconds.tolist()
    left = read_again(clip.frames)
    assert not [word for word in SECRETS if word in left]
    assert "viewer" in left


def test_fields_without_writing_have_none(shared: Path) -> None:
    """The benchmark measures this on hundreds of frames."""
    with (shared / "data/manifest.csv").open(newline="") as stream:
        paths = [row["path"] for row in csv.DictReader(stream)]
    chosen = [shared / "data" / path for path in random.Random(0).sample(paths, 12)]
    assert [path.name for path in chosen if find_writing(open_clip(path)).writings] == []


def test_drawn_tissue_has_no_writing(tissue: Clip) -> None:
    fields = np.stack([render_slide(entity, 1, 320, 240) for entity in list(ENTITIES)[:4]])
    assert find_writing(replace(tissue, frames=fields)).writings == []


def test_a_label_is_found_where_and_when_it_stands(tissue: Clip) -> None:
    (writing,) = find_writing(labelled(tissue, range(1, 3))).writings
    left, top, right, bottom = writing.box
    assert left <= 40 / 480
    assert 160 / 480 <= right < 0.5
    assert 0.6 < top <= 236 / 320
    assert 250 / 320 <= bottom < 0.85
    assert writing.seconds == [1.0, 2.0]
    assert writing.share == pytest.approx((right - left) * (bottom - top))
    assert (writing.kind, writing.filled) == ("personal", False)


def test_what_was_read_is_kept_nowhere(tissue: Clip) -> None:
    found = find_writing(labelled(tissue, range(4)), "mask-personal")
    assert "4839201" not in found.model_dump_json()
    assert "4839201" not in repr(search.search_frames(labelled(tissue, range(1)).frames))
    assert BurnedIn.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("rule", ["keep", "mask-personal", "mask-all"])
def test_a_rule_fills_what_it_names_and_copies_no_more(tissue: Clip, rule: search.WritingRule) -> None:
    clip = labelled(labelled(tissue, range(4)), range(4), "lymphocytes", (250, 60))
    before = clip.frames.copy()
    masked, found = mask_frames(clip.frames, clip.seconds, rule, False)
    assert {w.kind: w.filled for w in found.writings} == {
        "personal": rule != "keep",
        "label": rule == "mask-all",
    }
    assert np.array_equal(clip.frames, before)
    assert (masked is clip.frames) == (rule == "keep")
    left = " ".join(line.text for line in read_lines(masked[0]))
    assert ("4839201" in left, "lymphocytes" in left) == (rule == "keep", rule != "mask-all")
    again, _ = mask_frames(clip.frames, clip.seconds, rule, False)
    assert np.array_equal(again, masked)


@pytest.mark.parametrize("rule", ["keep", "mask-personal", "mask-all"])
def test_a_person_fills_further_places_and_leaves_found_ones(tissue: Clip, rule: search.WritingRule) -> None:
    clip = labelled(tissue, range(4))
    found = mask_frames(clip.frames, clip.seconds, rule, False)[1].writings[0].box
    masks = Masks(drawn=((0.5, 0.5, 0.75, 0.75),), cleared=(found,))
    masked, changed = mask_frames(clip.frames, clip.seconds, rule, False, masks)
    assert [(place.kind, place.filled) for place in changed.writings] == [
        ("personal", False),
        ("drawn", True),
    ]
    assert changed.writings[0].reason.endswith("left readable as a person asked")
    assert "4839201" in " ".join(line.text for line in read_lines(masked[0]))
    height, width = clip.frames.shape[1:3]
    inside = np.s_[:, height // 2 : 3 * height // 4, width // 2 : 3 * width // 4]
    assert (masked[inside] != clip.frames[inside]).any(axis=(1, 2, 3)).all(), "in every frame"
    outside = masked.copy()
    outside[inside] = clip.frames[inside]
    assert np.array_equal(outside, clip.frames)
    assert not Masks(cleared=((0.8, 0.8, 1.0, 1.0),)).clears(found)


def test_frames_without_writing_come_back_as_they_are(tissue: Clip) -> None:
    masked, found = mask_frames(tissue.frames, tissue.seconds, "mask-all", False)
    assert masked is tissue.frames
    assert found.writings == []


@pytest.mark.parametrize("missed", [0, 1, 3])
def test_a_number_that_the_reader_misses_in_one_frame_is_filled_there_as_well(
    tissue: Clip, monkeypatch: pytest.MonkeyPatch, missed: int
) -> None:
    clip = labelled(tissue, range(4))

    def read(pictures: Sequence[np.ndarray]) -> list[list[Line]]:
        lines = remembered.read_frames(pictures)
        return [
            [] if np.array_equal(picture, clip.frames[missed]) else own
            for picture, own in zip(pictures, lines, strict=True)
        ]

    monkeypatch.setattr(search, "read_frames", read)
    masked, found = mask_frames(clip.frames, clip.seconds, "mask-personal", False)
    assert found.writings[0].seconds == clip.seconds.tolist()
    assert read_lines(masked[missed]) == []


def test_writing_that_moves_with_the_slide_is_one_and_is_followed(tissue: Clip) -> None:
    moved = [drawn(frame, "MRN 4839201", (150 - 30 * n, 200)) for n, frame in enumerate(tissue.frames)]
    masked, found = mask_frames(np.stack(moved), tissue.seconds, "mask-personal", False)
    (writing,) = found.writings
    assert writing.seconds == tissue.seconds.tolist()
    assert [read_lines(frame) for frame in masked] == [[]] * 4


def test_a_line_beside_a_record_number_is_personal_as_well(tissue: Clip) -> None:
    frame = drawn(drawn(tissue.frames[0], "Third floor", (40, 100)), "MRN 4839201", (40, 128))
    _, found = mask_frames(drawn(frame, "lymphocytes", (250, 280))[None], np.zeros(1), "mask-personal", True)
    assert sorted((w.kind, w.filled) for w in found.writings) == [
        ("label", False),
        ("personal", True),
        ("personal", True),
    ]
    assert any(writing.reason == "beside a record number" for writing in found.writings)


def _turned(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(picture))


@pytest.mark.parametrize("symbology", ["QRCode", "DataMatrix", "Code128"])
@pytest.mark.parametrize("turn", [np.array, _turned], ids=["upright", "turned"])
def test_codes_are_filled_whole(
    tissue: Clip, symbology: str, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    zxing = pytest.importorskip("zxingcpp")
    code = np.array(
        zxing.create_barcode("S22-14873", getattr(zxing.BarcodeFormat, symbology)).to_image(scale=2)
    )
    code = cv2.resize(code, (code.shape[1], max(60, code.shape[0])), interpolation=cv2.INTER_NEAREST)
    code = turn(code)
    frame, (height, width) = tissue.frames[0].copy(), code.shape
    at = np.s_[20 : 20 + height, 150 : 150 + width]
    frame[at] = code[..., None]
    masked, found = mask_frames(frame[None], np.zeros(1), "mask-personal", True)
    (writing,) = [writing for writing in found.writings if writing.kind == "code"]
    assert writing.reason == "a bar code or QR code"
    quiet = 20  # pixels around the bars of these codes
    left, top, right, bottom = writing.box
    assert left * 480 <= 150 + quiet
    assert top * 320 <= 20 + quiet
    assert right * 480 >= 150 + width - quiet
    assert bottom * 320 >= 20 + height - quiet
    assert zxing.read_barcodes(masked[0]) == []


def test_the_sentence_says_how_much_when_and_what_was_filled(tissue: Clip) -> None:
    clip = labelled(tissue, range(1, 3))
    kept = find_writing(clip).sentence
    assert "1 place" in kept
    assert "at 1.0–2.0 s" in kept
    assert "nothing was filled" in kept
    _, found = mask_frames(clip.frames, clip.seconds, "mask-personal", False)
    assert "1 of 1 were filled (a record number)" in found.sentence
    assert "4 frames" in find_writing(tissue).sentence
    still = replace(clip.take([1]), kind="image")
    assert "the picture" in find_writing(still).sentence


@pytest.mark.parametrize("size", [(16, 16), (60, 900)])
@pytest.mark.parametrize("shade", ["black", "noise", "stripes"])
def test_odd_pictures_have_boxes_inside_the_frame(size: tuple[int, int], shade: str) -> None:
    height, width = size
    picture = {
        "black": np.zeros((height, width, 3)),
        "noise": np.random.default_rng(0).integers(0, 256, (height, width, 3)),
        "stripes": np.broadcast_to(np.arange(width)[None, :, None] % 8 // 4 * 255, (height, width, 3)),
    }[shade].astype(np.uint8)
    _, found = mask_frames(picture[None], np.zeros(1), "mask-all", True)
    assert all(0 <= value <= 1 for w in found.writings for value in w.box)
    assert shade == "noise" or found.writings == []


def test_a_box_at_the_border_or_the_whole_frame_can_be_filled(tissue: Clip) -> None:
    from videopath.media.writing.mask import fill

    boxes: list[PixelBox] = [(0, 0, 60, 20), (400, 300, 480, 320)]
    filled = fill(tissue.frames[0], boxes)
    assert filled.shape == tissue.frames[0].shape
    assert np.array_equal(filled[100:200], tissue.frames[0][100:200])
    assert fill(tissue.frames[0], [(0, 0, 480, 320)]).std() == 0
