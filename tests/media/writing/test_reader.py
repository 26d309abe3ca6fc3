"""The reader: small letters in large pictures, one engine for all threads, silence, and a cheap look before it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from difflib import SequenceMatcher

import cv2
import numpy as np
import pytest

from videopath.media.synthetic import render_slide
from videopath.media.writing import reader
from videopath.media.writing.inks import ink_pictures
from videopath.media.writing.likely import likely_parts
from videopath.media.writing.reader import read_lines


def marked(picture: np.ndarray, text: str, at: tuple[int, int], scale: float) -> np.ndarray:
    for ink, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        picture = cv2.putText(
            picture.copy(), text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, ink, width, cv2.LINE_AA
        )
    return picture


def test_small_and_large_letters_of_a_4k_frame_are_read() -> None:
    smooth = cv2.resize(render_slide("colon adenocarcinoma", 3, 480, 270), (3840, 2160))
    picture = marked(marked(smooth, "MRN 4839201", (3000, 2000), 0.5), "Acute abdomen", (400, 500), 6)
    large, small = sorted(read_lines(picture), key=lambda line: line.box[1])
    assert large.text.startswith("Acute")
    assert SequenceMatcher(None, small.text, "MRN 4839201").ratio() > 0.7
    left, top, right, bottom = small.box
    assert 2980 < left < 3010
    assert 1970 < top < 1995
    assert 2000 <= bottom < 2020
    assert 3080 < right < 3130


def test_threads_share_one_engine() -> None:
    picture = marked(render_slide("colon adenocarcinoma", 3, 320, 240), "MRN 4839201", (40, 60), 0.7)
    with ThreadPoolExecutor(2) as pool:
        texts = [[line.text for line in lines] for lines in pool.map(read_lines, [picture] * 3)]
    assert texts == [texts[0]] * 3
    assert "4839201" in texts[0][0]


@pytest.mark.parametrize("ink", [(0, 255, 0), (255, 255, 0), (0, 0, 0)])
def test_an_ink_that_no_stain_has_is_a_picture_of_its_own(ink: tuple[int, int, int]) -> None:
    field = np.random.default_rng(0).normal((220, 140, 190), 8, (240, 320, 3)).clip(0, 255).astype(np.uint8)
    words = cv2.putText(
        field.copy(), "lymphocytes", (40, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.7, ink, 2, cv2.LINE_AA
    )
    assert list(ink_pictures(field)) == []
    for picture, ((left, top, right, bottom),) in ink_pictures(words):
        assert left < 40 < 165 < right
        assert top < 45 < 62 < bottom
        assert picture[100:].min() > 200
    assert len(list(ink_pictures(words))) >= 1


def test_a_soft_picture_has_no_part_to_read_closely() -> None:
    field = render_slide("colon adenocarcinoma", 3, 320, 240)
    assert likely_parts(cv2.GaussianBlur(field, (0, 0), 3)) == []
    ((left, top, right, bottom),) = likely_parts(
        marked(cv2.GaussianBlur(field, (0, 0), 3), "MRN 4839201", (40, 60), 0.7)
    )
    assert left < 40
    assert top < 45
    assert right > 180
    assert bottom > 60


def test_nothing_is_loaded_logged_or_printed_before_the_first_picture() -> None:
    program = (
        "import sys, videopath.media.writing.mask, videopath.media.writing.film\n"
        "assert not {'rapidocr', 'onnxruntime', 'zxingcpp'} & set(sys.modules)\n"
        "import numpy as np\n"
        "from videopath.media.writing.reader import read_lines\n"
        "read_lines(np.zeros((64, 64, 3), np.uint8))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize(
    ("thickness", "text", "score", "is_writing"),
    [
        (14, "MRN 4839201", 0.7, True),
        (14, "A", 0.99, False),
        (14, "06", 0.75, False),
        (90, "60.0", 0.6, False),
        (90, "Acute abdomen", 0.98, True),
    ],
)
def test_what_tissue_is_taken_for_is_left_out(
    thickness: float, text: str, score: float, is_writing: bool
) -> None:
    assert reader._plausible(thickness, text, score) is is_writing
