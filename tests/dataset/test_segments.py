"""Recordings are cut where the screen changes to another kind, and a person's corrections are read back."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from fixtures.lectures import Lecture, Part, black, card, compose, drawn_view, head, slide
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.choices import SCREEN_KINDS
from videopath.core.errors import InputError
from videopath.dataset.options import SegmentOptions
from videopath.dataset.records import Recording, Segment, Segments
from videopath.dataset.segments.cuts_table import COLUMNS, read_cuts, write_cuts
from videopath.dataset.segments.cutting import cut

_SIZE = (320, 240)


def _lecture(path: Path, **how: object) -> Lecture:
    """Write cards, a full slide, a viewer, a black pause and a head, with a cut, a dissolve and a fade between them."""
    rng = np.random.default_rng(1)
    view, other = drawn_view(1), drawn_view(2)
    parts = [
        Part("title card", 2.0, card(_SIZE, rng, "dark"), "dark"),
        Part("slide", 4.0, slide(_SIZE, rng, "full", view), "full", fade=0.8),
        Part("title card", 2.5, card(_SIZE, rng, "light"), "light", fade=0.8, through_black=True),
        Part("slide", 4.0, slide(_SIZE, rng, "dark viewer", other), "dark viewer"),
        Part("black", 1.5, black(_SIZE), "black"),
        Part("talking head", 2.5, head(_SIZE, rng), "head"),
    ]
    return compose(path, parts, _SIZE, **how)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Lecture:
    return _lecture(tmp_path_factory.mktemp("lecture") / "lecture.mp4", fps=12)


def _check(segments: Segments, lecture: Lecture) -> None:
    assert [segment.kind for segment in segments.segments] == [kind for _, _, kind in lecture.truth]
    for segment, (start, end, _) in zip(segments.segments, lecture.truth, strict=True):
        assert (segment.start, segment.end) == (pytest.approx(start, abs=0.5), pytest.approx(end, abs=0.5))


@pytest.mark.slow
def test_a_lecture_is_cut_into_its_screens(lecture: Lecture) -> None:
    shares: list[float] = []
    segments = cut(lecture.path, SegmentOptions(), shares.append)
    _check(segments, lecture)
    assert [segment.case for segment in segments.slides] == [1, 2]
    first, _, second, case, *_ = segments.segments
    assert first.title != second.title == case.title != ""
    assert all(
        before.end == after.start
        for before, after in zip(segments.segments, segments.segments[1:], strict=False)
    )
    assert segments.segments[0].start == 0
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.slow
def test_times_of_a_variable_rate_are_presentation_times(tmp_path: Path) -> None:
    lecture = _lecture(tmp_path / "variable.mkv", fps=15, variable=True)
    _check(cut(lecture.path, SegmentOptions(), lambda share: None), lecture)


def test_nothing_but_tissue_is_one_case(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    size = (180, 320)  # upright
    parts = [Part("slide", 3.0, slide(size, rng, "full", drawn_view(5)), "full")]
    film = compose(tmp_path / "upright.mp4", parts, size, fps=30)
    (segment,) = cut(film.path, SegmentOptions(), lambda share: None).segments
    assert (segment.kind, segment.case, segment.start) == ("slide", 1, 0.0)
    assert segment.end == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("fps", [10, 30])
def test_a_cut_lies_at_its_very_frame(tmp_path: Path, fps: int) -> None:
    rng = np.random.default_rng(3)
    parts = [
        Part("black", 1.5, black(_SIZE), "black"),
        Part("slide", 2.0, slide(_SIZE, rng, "full", drawn_view(5)), "full"),
    ]
    film = compose(tmp_path / "cut.mp4", parts, _SIZE, fps=fps)
    before, after = cut(film.path, SegmentOptions(), lambda share: None).segments
    assert (before.kind, after.kind) == ("black", "slide")
    assert before.end == after.start == pytest.approx(1.5, abs=1e-3)


def test_ten_frames_are_cut_or_named(tmp_path: Path) -> None:
    parts = [Part("black", 1.0, black(_SIZE), "black")]
    film = compose(tmp_path / "ten.mp4", parts, _SIZE, fps=10)
    assert [segment.kind for segment in cut(film.path, SegmentOptions(), lambda share: None).segments] == [
        "black"
    ]


def test_broken_recordings_are_named(tmp_path: Path, lecture: Lecture) -> None:
    truncated = tmp_path / "truncated.mp4"
    truncated.write_bytes(lecture.path.read_bytes()[: lecture.path.stat().st_size // 2])
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        samples.sample_rate, samples.time_base = 8000, Fraction(1, 8000)
        container.mux(stream.encode(samples))
        container.mux(stream.encode())
    for broken in (truncated, sound):
        with pytest.raises(InputError, match=broken.name):
            cut(broken, SegmentOptions(), lambda share: None)


# The table of cuts


def _recording(seconds: float, path: str = "a folder/case.mp4") -> Recording:
    return Recording(id="0" * 16, path=path, sha256="0" * 64, seconds=seconds, width=8, height=8, fps=8.0)


_FOUND = Segments(
    segments=(
        Segment(start=0.0, end=3.0, kind="title card", title='=Case 1, "breast"; Größe'),
        Segment(start=3.0, end=75.5, kind="slide", case=1, title='=Case 1, "breast"; Größe'),
        Segment(start=75.5, end=80.0, kind="desktop"),
    )
)


def _table(tmp_path: Path, *rows: str, separator: str = ",") -> Path:
    table = tmp_path / "cuts.csv"
    table.write_text("\n".join((separator.join(COLUMNS), *rows)) + "\n")
    return table


def _read(table: Path) -> list[tuple[float, float, str, int | None]]:
    corrected = read_cuts(table, _recording(80.0, "case.mp4"), _FOUND)
    assert corrected.corrected
    return [(segment.start, segment.end, segment.kind, segment.case) for segment in corrected.segments]


_titles = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(
    lambda text: " ".join(text.split())
)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 90_000), st.sampled_from(SCREEN_KINDS), st.integers(1, 9), _titles),
        min_size=1,
        max_size=9,
    )
)
def test_an_unchanged_table_gives_the_same_cuts(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, str, int, str]]
) -> None:
    table = tmp_path_factory.mktemp("table") / "cuts.csv"
    segments, start = [], 0
    for length, kind, case, title in parts:
        number = case if kind == "slide" else None
        segments.append(
            Segment.model_validate(
                {
                    "start": start / 1000,
                    "end": (start + length) / 1000,
                    "kind": kind,
                    "case": number,
                    "title": title,
                }
            )
        )
        start += length
    found = Segments(segments=tuple(segments))
    recording = _recording(start / 1000)
    write_cuts(table, [(_recording(5.0, "other.mp4"), _FOUND), (recording, found)])
    assert read_cuts(table, recording, found) == found
    assert read_cuts(table, _recording(9.0, "new.mp4"), found) is found


def test_the_table_is_one_that_spreadsheets_open(tmp_path: Path) -> None:
    table = tmp_path / "cuts.csv"
    write_cuts(table, [(_recording(80.0), _FOUND)])
    assert table.read_bytes().startswith(b"\xef\xbb\xbfpath,start,end,kind,case,title")
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert [row["end"] for row in rows] == ["3.000", "75.500", "80.000"]
    assert rows[0]["title"].startswith("'=")  # a spreadsheet must not compute it


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_table_saved_by_a_spreadsheet_is_unchanged(tmp_path: Path, encoding: str) -> None:
    table = tmp_path / "cuts.csv"
    rows = ["0;3;title card;", "3,0;1:15,5;slide;1", "00:01:15,5;80,00;Desktop;"]
    title = '"\'=Case 1, ""breast""; Größe"'
    text = "sep=;\r\n" + ";".join(COLUMNS) + "\r\n"
    text += "".join(f"case.mp4;{row};{title if number < 2 else ''}\r\n" for number, row in enumerate(rows))
    table.write_bytes(text.encode(encoding))
    assert read_cuts(table, _recording(80.0, "case.mp4"), _FOUND) == _FOUND


def test_rows_may_be_deleted_split_moved_and_added(tmp_path: Path) -> None:
    table = _table(
        tmp_path, "case.mp4,40,75.5,slide,,", "case.mp4,0,3,black,,", "case.mp4,3.02,20,slide,,", "x,y,z,,,"
    )
    assert _read(table) == [
        (0.0, 3.0, "black", None),
        (3.0, 20.0, "slide", 1),
        (20.0, 40.0, "desktop", None),
        (40.0, 75.5, "slide", 1),
        (75.5, 80.0, "desktop", None),
    ]
    table = _table(
        tmp_path,
        "case.mp4;0;10;slide;3;",
        "case.mp4;10;12;title card;;",
        "case.mp4;12;80,2;slide;;",
        separator=";",
    )
    assert _read(table) == [
        (0.0, 10.0, "slide", 3),
        (10.0, 12.0, "title card", None),
        (12.0, 80.0, "slide", 4),
    ]


def test_a_title_that_a_person_wrote_is_screened(tmp_path: Path) -> None:
    table = _table(tmp_path, "case.mp4,0,80,slide,1,MRN 4839201")
    corrected = read_cuts(table, _recording(80.0, "case.mp4"), _FOUND)
    assert "4839201" not in corrected.segments[0].title


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("case.mp4,2,80,slide,,", "line 3: it begins at 2 s, before line 2 ends"),
        ("case.mp4,3,90,slide,,", "line 3: the end 90 s lies after the end of the recording"),
        ("case.mp4,3,3,slide,,", "line 3: the end 3 s is not after"),
        ("case.mp4,-1,5,slide,,", 'line 3: the start "-1" is no time'),
        ("case.mp4,nan,5,slide,,", 'line 3: the start "nan" is no time'),
        ("case.mp4,1:75,80,slide,,", 'line 3: the start "1:75" is no time'),
        ("case.mp4,3,5,film,,", 'line 3: the kind "film" is unknown'),
        ("case.mp4,3,5,slide,first,", 'line 3: the case "first" is no number'),
        ('case.mp4,3,5,"slide"x,,', "line 3: this is not CSV"),
        ("case.mp4,3", 'line 3: the end "" is no time'),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: str, says: str) -> None:
    with pytest.raises(InputError, match=f"cuts.csv, {says}"):
        _read(_table(tmp_path, "case.mp4,0,3,title card,,", row))


def test_a_table_without_its_columns_is_named(tmp_path: Path) -> None:
    table = tmp_path / "cuts.csv"
    for text in ("", "start,end\n1,2\n", "\x00\x01\x02"):
        table.write_text(text)
        with pytest.raises(InputError, match="must begin with a line of columns"):
            read_cuts(table, _recording(80.0, "case.mp4"), _FOUND)
