"""A film with its writing filled: no frame between two searches shows what either of them shows."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from videopath.media.masks import Masks
from videopath.media.synthetic import render_slide
from videopath.media.writing import film as film_module
from videopath.media.writing.film import masked_film
from videopath.media.writing.reader import Line, read_lines


class Film:
    """Frames in memory, ten a second."""

    def __init__(self, frames: list[np.ndarray]) -> None:
        self.frames, self.duration = frames, len(frames) / 10

    def film(self) -> Iterator[tuple[float, np.ndarray]]:
        for number, frame in enumerate(self.frames):
            yield number / 10, frame.copy()


@pytest.fixture(scope="module")
def slide() -> np.ndarray:
    return cv2.GaussianBlur(render_slide("colon adenocarcinoma", 5, 500, 240), (0, 0), 2)


def panned(slide: np.ndarray, count: int, marked: range, text: str = "MRN 4839201") -> Film:
    """A pan of ``count`` frames with white words in some of them."""
    frames = [slide[:, 4 * n : 4 * n + 320].copy() for n in range(count)]
    for number in marked:
        cv2.rectangle(frames[number], (40, 180), (200, 206), (0, 0, 0), -1)
        cv2.putText(
            frames[number], text, (46, 200), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1, cv2.LINE_AA
        )
    return Film(frames)


def test_all_frames_come_in_order_and_none_shows_the_number(slide: np.ndarray) -> None:
    film = panned(slide, 16, range(3, 13))
    progress: list[float] = []
    masked = masked_film(film, "mask-personal", on_progress=progress.append)
    frames = list(masked)
    assert [seconds for seconds, _ in frames] == [number / 10 for number in range(16)]
    assert [read_lines(frame) for _, frame in frames[3:13]] == [[]] * 10
    assert np.array_equal(frames[15][1], film.frames[15])
    (writing,) = masked.erased.writings
    assert (writing.kind, writing.filled) == ("personal", True)
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_a_film_can_be_read_again_and_cropped(slide: np.ndarray) -> None:
    film = panned(slide, 6, range(6))
    masked = masked_film(film, "mask-personal", crop=(0.0, 0.5, 0.5, 1.0))
    first, second = list(masked), list(masked)
    assert first[0][1].shape == (120, 160, 3)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0][1], film.frames[0][120:, :160])


def test_a_drawn_place_is_filled_in_all_frames_and_a_cleared_one_in_none(slide: np.ndarray) -> None:
    film = panned(slide, 6, range(6))
    place = masked_film(film, "mask-all").erased.writings[0].box
    masks = Masks(drawn=((0.0, 0.0, 0.2, 0.2),), cleared=(place,))
    masked = masked_film(film, "mask-all", masks=masks)
    for (_, frame), own in zip(masked, film.frames, strict=True):
        assert not np.array_equal(frame[:48, :64], own[:48, :64])
        assert np.array_equal(frame[48:], own[48:])
    assert [one.filled for one in masked.erased.writings] == [False, True]


def test_nothing_is_searched_if_all_is_kept(slide: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_module, "read_frame", lambda frame: pytest.fail("searched"))
    film = panned(slide, 3, range(3))
    masked = masked_film(film, "keep")
    assert all(np.array_equal(a, b) for (_, a), b in zip(masked, film.frames, strict=True))
    assert masked.erased.writings == []


def test_a_still_picture_is_searched_once_until_something_appears(
    slide: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[np.ndarray] = []

    def read(frame: np.ndarray) -> list[Line]:
        searched.append(frame)
        return []

    monkeypatch.setattr(film_module, "read_frame", read)
    still = slide[:, :320]
    list(masked_film(Film([still] * 20), "mask-all"))
    assert len(searched) == 1
    searched.clear()
    marked = panned(slide[:, :324].repeat(1, axis=1), 1, range(1)).frames[0]
    list(masked_film(Film([still] * 6 + [marked] * 2 + [still] * 12), "mask-all"))
    assert any(np.array_equal(frame, marked) for frame in searched), "writing of a fifth of a second"


@pytest.mark.parametrize("missed", [0, 5, 10, 15])
def test_a_number_that_one_search_misses_is_filled_in_that_frame_as_well(
    slide: np.ndarray, monkeypatch: pytest.MonkeyPatch, missed: int
) -> None:
    film = panned(slide, 16, range(16))

    def read(frame: np.ndarray) -> list[Line]:
        if np.array_equal(frame, film.frames[missed]):
            return []
        return [Line((36, 176, 206, 210), "MRN 4839201")]

    monkeypatch.setattr(film_module, "read_frame", read)
    frames = [frame for _, frame in masked_film(film, "mask-personal")]
    shows = [not np.array_equal(a, b) for a, b in zip(frames, film.frames, strict=True)]
    assert all(shows)
    assert read_lines(frames[missed]) == []
