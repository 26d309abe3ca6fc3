"""Metadata of files: which fields there are is said, and no value is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from videopath.media.clip import open_clip
from videopath.media.metadata import UNREADABLE, MetadataField, metadata_of, metadata_sentence

PICTURE = Image.fromarray(np.full((64, 64, 3), 200, np.uint8))


def names(path: Path) -> set[str]:
    return {field.name for field in metadata_of(path) if field.personal}


def exif() -> Image.Exif:
    tags = Image.Exif()
    tags[270], tags[315], tags[272] = "MRN 4839201", "John Doe", "DM6"
    tags.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    tags.get_ifd(0x8769)[42033] = "SN123"
    return tags


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Matroska video with a title, an author, a place, a tag of its own and a chapter."""
    path = tmp_path_factory.mktemp("tagged") / "a.mkv"
    with av.open(str(path), "w") as target:
        target.metadata.update(
            {
                "title": "MRN 4839201 DOE JOHN",
                "artist": "Dr. House",
                "location": "+52.5+013.4/",
                "john_doe": "x",
            }
        )
        stream = target.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for level in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 * level, np.uint8), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
    return path


def test_a_videos_tags_are_named_with_hashes_and_without_values(tagged: Path) -> None:
    fields = metadata_of(tagged)
    assert {"title", "artist", "location", "another field"} <= names(tagged)
    title = next(field for field in fields if field.name == "title")
    assert title == MetadataField(
        name="title", sha256=hashlib.sha256(b"MRN 4839201 DOE JOHN").hexdigest(), personal=True
    )
    written = " ".join(field.model_dump_json() for field in fields).lower()
    assert not any(value in written for value in ("4839201", "doe", "house", "52.5"))
    assert metadata_sentence(fields).startswith("The file carries a title, an author, a place")
    assert metadata_sentence(fields).endswith("none of it was stored.")


@pytest.mark.parametrize("suffix", ["jpg", "tif", "webp", "heic", "avif"])
def test_a_pictures_exif_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "heic":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.from_pillow(PICTURE).save(path, exif=exif().tobytes())
    elif suffix == "tif":
        PICTURE.save(path, tiffinfo={270: "MRN 4839201", 315: "John Doe", 272: "DM6"})
    else:
        PICTURE.save(path, exif=exif())
    assert {"description", "artist", "model"} <= names(path)
    assert suffix == "tif" or {"gps", "serial number"} <= names(path)


def test_texts_of_pictures_are_named(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "John Doe")
    info.add_itxt("XML:com.adobe.xmp", "<x/>")
    PICTURE.save(tmp_path / "a.png", pnginfo=info)
    PICTURE.save(tmp_path / "b.gif", comment=b"DOE")
    PICTURE.save(tmp_path / "c.bmp")
    assert names(tmp_path / "a.png") == {"author", "xmp"}
    assert names(tmp_path / "b.gif") == {"comment"}
    assert names(tmp_path / "c.bmp") == set()
    assert metadata_sentence(metadata_of(tmp_path / "c.bmp")) == ""
    assert names(tmp_path) == {"author", "xmp", "comment"}


def test_damaged_metadata_is_said(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "a.jpg", exif=exif())
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:150])
    (tmp_path / "c.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + b"\0" * 400)
    assert names(tmp_path / "b.jpg") == names(tmp_path / "c.mp4") == {UNREADABLE}


def test_a_clip_names_no_person(tagged: Path, tmp_path: Path) -> None:
    named = tmp_path / "MRN 4839201 DOE JOHN.mkv"
    named.write_bytes(tagged.read_bytes())
    clip = open_clip(named, 2)
    assert clip.path.name.startswith("name-")
    assert np.array_equal(open_clip(clip.path, 2).frames, clip.frames)
