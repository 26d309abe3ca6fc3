"""Uploads: whatever a file calls itself, it lands in the case's folder and nowhere else."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.app.web.runtime.uploads import clean_name, save_upload
from videopath.core.errors import InputError

_HOSTILE = {
    "case.mp4": "case.mp4",
    "../../etc/cron.d/case.mp4": "case.mp4",
    "C:\\Users\\me\\slide 1.MOV": "slide 1.mov",
    "..mp4": "upload.mp4",
    "CON.mp4": "upload_CON.mp4",
    "a\0b.png": "ab.png",
    "<script>alert(1)</script>.mp4": "script.mp4",
    "tile.tar.gz": "tile_tar.gz",
    "-rf.mp4": "rf.mp4",
    "نسيج الكبد.mp4": "نسيج الكبد.mp4",
    "x" * 300 + ".mp4": "x" * 80 + ".mp4",
    "a\nb:c*d?.webm": "a_b_c_d.webm",
}


@pytest.mark.parametrize(("name", "cleaned"), _HOSTILE.items())
def test_names_are_cleaned(tmp_path: Path, name: str, cleaned: str) -> None:
    saved = save_upload(name, io.BytesIO(b"\0frames"), tmp_path / "upload")
    assert saved == tmp_path / "upload" / cleaned
    assert saved.read_bytes() == b"\0frames"


@given(st.text(max_size=120))
def test_every_name_is_cleaned_or_refused(name: str) -> None:
    try:
        cleaned = clean_name(name)
    except InputError:
        return
    assert cleaned == Path(cleaned).name
    assert not cleaned.startswith((".", "-"))
    assert cleaned.encode()
    assert clean_name(cleaned) == cleaned


@pytest.mark.parametrize("name", ["", "video", "..", "/", "video."])
def test_a_name_without_a_suffix_is_rejected(name: str) -> None:
    with pytest.raises(InputError, match="suffix"):
        clean_name(name)


def test_it_is_read_from_its_beginning_and_written_whole(tmp_path: Path) -> None:
    data = io.BytesIO(bytes(range(256)) * 9000)
    data.read(1000)
    assert save_upload("a.mp4", data, tmp_path).read_bytes() == data.getvalue()
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
