"""Files that VideoPath does not read, recognised by suffix and first bytes, with advice what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from videopath.core.errors import InputError

HEAD = 1024
"""Bytes at the beginning of a file that are enough to recognise it."""

_MAX_FILES = 50  # of a folder, whose kinds are looked at
_FIELD = "export the field in question as png, jpg or mp4"
_PICTURE = "convert it to png or jpg"
_UNPACK = "unpack it and give what is inside"


class Foreign(NamedTuple):
    """A kind of file that is not read, and what the user can do."""

    what: str
    """"a whole slide": the end of "X is …"."""
    advice: str


SLIDE = Foreign("a whole slide", f"whole slides are not read, so {_FIELD} (QuPath and ASAP can)")
_DICOM = Foreign("a DICOM file", f"DICOM is not read, so {_FIELD}")
_JPEG_2000 = Foreign("a JPEG 2000 picture", f"JPEG 2000 is not read, so {_PICTURE}")
_JPEG_XL = Foreign("a JPEG XL picture", f"JPEG XL is not read, so {_PICTURE}")
_RAW = Foreign("a camera's raw file", f"raw files are not read, so {_PICTURE}")
_MICROSCOPE = Foreign("a microscope's own format", f"it is not read, so {_FIELD} (Fiji with Bio-Formats can)")
_ARCHIVE = Foreign("an archive", _UNPACK)
_COMPRESSED = Foreign("a compressed file", _UNPACK)
_PDF = Foreign("a PDF document", "export its pictures as png or jpg")
_OFFICE = Foreign("an Office document", "export its pictures as png or jpg, or its film as mp4")
_DRAWING = Foreign("a drawing or a layered picture", f"it is not read, so {_PICTURE}")
_DATA = Foreign("a file of data, not a video or picture", "give the video or picture itself")
_WEIGHTS = Foreign("a file of model weights", "give the model with --model, and a video or picture here")
_LFS = Foreign("a Git LFS pointer, not the file itself", "fetch the file with `git lfs pull`")
_BARE = Foreign("a bare stream of pictures", "pack it in mp4 or avi (ffmpeg -i IN -c copy OUT.avi)")
_WEB_PAGE = Foreign("a web page, as a failed download leaves it", "download the file again")

_BY_SUFFIX: dict[str, Foreign] = {
    suffix: foreign
    for suffixes, foreign in (
        (".svs .svslide .ndpi .ndpis .mrxs .scn .bif .vsi .ets .vms .vmu .qptiff .isyntax .tmap .kfb .sdpc", SLIDE),
        (".dcm .dicom", _DICOM),
        (".czi .zvi .lif .lsm .nd2 .oib .oif .oir .ims .stk .flex", _MICROSCOPE),
        (".jp2 .j2k .j2c .jpc .jpf .jpx .jph", _JPEG_2000),
        (".jxl", _JPEG_XL),
        (".dng .cr2 .cr3 .nef .arw .orf .raf .rw2 .pef .srw", _RAW),
        (".zip .tar .tgz .7z .rar", _ARCHIVE),
        (".gz .bz2 .xz .zst", _COMPRESSED),
        (".pdf", _PDF),
        (".ppt .pptx .doc .docx .xls .xlsx .odp .odt", _OFFICE),
        (".psd .psb .svg .eps .ps .ai .xcf", _DRAWING),
        (".exr .hdr .h5 .hdf5 .npy .npz .nii .fits .parquet .sqlite", _DATA),
        (".safetensors .gguf", _WEIGHTS),
        (".mjpg .mjpeg", _BARE),
    )
    for suffix in suffixes.split()
}  # fmt: skip
PICTURE_LIKE = {
    suffix for suffix, what in _BY_SUFFIX.items() if what in (SLIDE, _DICOM, _MICROSCOPE, _JPEG_2000, _JPEG_XL, _RAW)
}  # fmt: skip
"""Suffixes of pictures that cannot be read. In a folder of frames such a file would be a missing frame."""

_STARTS: tuple[tuple[bytes, Foreign], ...] = (
    (b"version https://git-lfs.github.com/spec/", _LFS),
    (b"\0\0\0\x0cjP  \r\n", _JPEG_2000),
    (b"\xff\x4f\xff\x51", _JPEG_2000),
    (b"\0\0\0\x0cJXL \r\n", _JPEG_XL),
    (b"\xff\x0a", _JPEG_XL),
    (b"%PDF-", _PDF),
    (b"PK\x03\x04", _ARCHIVE),
    (b"PK\x05\x06", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"\x1f\x8b", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\xfd7zXZ\0", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"ZISRAWFILE", _MICROSCOPE),
    (b"\xda\xce\xbe\x0a", _MICROSCOPE),  # nd2
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Foreign("an Office or microscope file (OLE)", _FIELD)),
    (b"8BPS", _DRAWING),
    (b"%!PS", _DRAWING),
    (b"\x76\x2f\x31\x01", _DATA),  # OpenEXR
    (b"\x89HDF\r\n", _DATA),
    (b"\x93NUMPY", _DATA),
    (b"SIMPLE  =", _DATA),  # FITS
    (b"SQLite format 3\0", _DATA),
    (b"PAR1", _DATA),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"GGUF", _WEIGHTS),
)
_TESTS: tuple[tuple[Callable[[bytes], bool], Foreign], ...] = (
    (lambda head: head[128:132] == b"DICM", _DICOM),
    (lambda head: head[257:262] == b"ustar", _ARCHIVE),
    (lambda head: head[:4] in (b"II*\0", b"MM\0*") and head[8:10] == b"CR", _RAW),
    (lambda head: head[4:12] == b"ftypcrx ", _RAW),
    (lambda head: head[4:12] == b"ftypjxl ", _JPEG_XL),
    (lambda head: head[8:10] == b'{"', _WEIGHTS),  # safetensors: the length of a JSON header, and the header
    (lambda head: head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")), _WEB_PAGE),
    (lambda head: b"<svg" in head[:512].lower(), _DRAWING),
)


def foreign_kind(path: Path, head: bytes) -> Foreign | None:
    """Return the kind of a file that cannot be read, or None if the file may be a video or a picture.

    Args:
        path: The file; only its suffix is used.
        head: Its first bytes.
    """
    if head.startswith(b"version https://git-lfs"):  # whatever its suffix
        return _LFS
    by_suffix = _BY_SUFFIX.get(path.suffix.lower())
    if by_suffix is not None:
        return by_suffix
    for start, foreign in _STARTS:
        if head.startswith(start):
            return foreign
    return next((foreign for test, foreign in _TESTS if test(head)), None)


def read_head(path: Path) -> bytes:
    """Read the first ``HEAD`` bytes of a regular file."""
    with path.open("rb") as stream:
        return stream.read(HEAD)


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise ``InputError`` if a file is of a known kind that cannot be read."""
    foreign = foreign_kind(path, head)
    if foreign is not None:
        raise InputError(f"{path.name} is {foreign.what}: {foreign.advice}.")


def contents(folder: Path) -> str:
    """Return what a folder without frames holds instead, as the end of a sentence; empty if the folder is empty."""
    files = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and path.is_file()]
    if not files:
        return "it holds only other folders; give one of them" if any(folder.iterdir()) else ""
    kinds: dict[Foreign | None, list[str]] = {}
    for path in files[:_MAX_FILES]:
        kinds.setdefault(foreign_kind(path, read_head(path)), []).append(path.name)
    foreign = max(kinds, key=lambda kind: len(kinds[kind]) if kind else 0)
    if foreign is None:
        return f"it holds other files ({', '.join(path.name for path in files[:3])}{' …' if len(files) > 3 else ''})"
    each = "each file" if len(kinds[foreign]) > 1 else kinds[foreign][0]
    return f"{each} in it is {foreign.what}: {foreign.advice}"
