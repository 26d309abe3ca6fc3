"""Names of files: a person's data in them is never stored, and the file is found again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.errors import InputError
from videopath.core.privacy.paths import (
    find_path,
    is_screened,
    screened_errors,
    screened_label,
    screened_name,
    screened_path,
    screened_sentence,
)

ORDINARY = [
    "vidrip_d0WDjz9JBiU_c00003.mp4", "IMG_20240501_123456.mp4", "PXL_20240501_123456789.mp4", "TCGA-AA-3518-01Z.svs",
    "frame-000012.png", "frame_0001234.png", "0000123.png", "lecture_breast_colon.mp4", "2024-05-01 12-34-56.mkv", "DSC01234.JPG",
    "GX010123.MP4", "C3L-00001-21.svs", "GTEX-1117F-0126.svs", "SOB_M_DC-14-2523-40-001.png", "patient_017_node_2.tif",
    "Case-3-A18-41302-32324_101.jpg", "fat-necrosis_L16_165_126.jpg", "case_0012.mp4", "20260131-142501-9f3c1a", "tmpab12cd34",
    "pytest-of-root", "test_a_patient_is_named0", "GMT20240501-123456_Recording_1920x1080.mp4", "Max_Projection.png",
    "Basal cell carcinoma - lecture 3.mp4", "d41d8cd98f00b204e9800998ecf8427e.mp4", "H&E S100.png", "video (1).mp4", "julia.vim",
]  # fmt: skip
PERSONAL = [
    "MRN 4839201 DOE JOHN.mp4", "DOE_JOHN.mp4", "doe^john.tif", "john_doe_biopsy.mov", "S23-12345_HE.svs", "4839201.png",
    "Smith John 1962-04-11", "Dr_Smith_case.mp4", "PatientNameJohnDoe.avi", "geb 11.04.1962.jpg", "DOE.JOHN",
]  # fmt: skip


def test_ordinary_names_stay() -> None:
    assert {name: screened_name(name) for name in ORDINARY if screened_name(name) != name} == {}
    home = Path.home() / "john_smith" if Path.home() == Path("/") else Path.home()
    assert screened_path(home / "videos" / "clip.mp4") == home / "videos" / "clip.mp4"
    assert screened_path("/home/john_smith/clip.mp4") == Path("/home/john_smith/clip.mp4")
    assert screened_path("clip.mp4") == Path("clip.mp4")


@pytest.mark.parametrize("name", PERSONAL)
def test_a_name_with_a_persons_data_becomes_a_hash_and_is_found_again(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "MRN 4839201"
    folder.mkdir()
    (folder / name).touch()
    (folder / "other.mp4").touch()
    screened = screened_path(folder / name)
    assert re.fullmatch(r"name-[0-9a-f]{12}(\.[a-z0-9]+)?", screened.name)
    assert re.fullmatch(r"name-[0-9a-f]{12}", screened.parent.name)
    assert screened.suffix == (
        "" if name == "DOE.JOHN" else Path(name).suffix if "1962-04" not in name else ""
    )
    assert screened_path(screened) == screened
    assert is_screened(screened)
    assert find_path(screened) == folder / name
    assert find_path(find_path(screened)) == folder / name
    (folder / name).unlink()
    assert find_path(screened) == folder / screened.name


def test_an_ordinary_path_comes_back_as_it_is(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.mp4", Path("a/b.mp4"), Path("name-1.mp4")):
        assert find_path(path) == path
        assert not is_screened(path)


def test_two_files_of_one_name_are_told_apart_by_their_suffix(tmp_path: Path) -> None:
    for suffix in (".mp4", ".png"):
        (tmp_path / f"DOE^JOHN{suffix}").touch()
    for suffix in (".mp4", ".png"):
        assert find_path(screened_path(tmp_path / f"DOE^JOHN{suffix}")).suffix == suffix


def test_sources_patients_and_sentences_are_screened(tmp_path: Path) -> None:
    assert screened_label("set/TCGA-AA-3518") == "set/TCGA-AA-3518"
    assert re.fullmatch(r"set/name-[0-9a-f]{12}\.mp4", screened_label("set/MRN 4839201.mp4"))
    assert screened_label("DOE^JOHN") == screened_name("DOE^JOHN")
    folder = tmp_path / "MRN 4839201"
    folder.mkdir()
    (folder / "DOE^JOHN.txt").touch()
    sentence = screened_sentence(f"{folder} holds other files (DOE^JOHN.txt)", folder)
    assert "4839201" not in sentence
    assert "DOE" not in sentence
    with pytest.raises(InputError, match=r"^name-[0-9a-f]{12} is empty") as raised, screened_errors(folder):
        raise InputError(f"{folder.name} is empty (0 bytes).")
    assert "4839201" not in str(raised.value)


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_screening_is_idempotent(name: str) -> None:
    assert screened_name(screened_name(name)) == screened_name(name)
    assert screened_label(screened_label(name)) == screened_label(name)
