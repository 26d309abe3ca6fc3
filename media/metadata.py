"""What a file says beside its frames: container tags, chapters, subtitles, EXIF, XMP and IPTC.

VideoPath reads the frames and their times alone, and stores none of this. So that a trace can say what a file carries,
the fields are listed by their usual names, with the SHA-256 of their values. Only headers are read.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.privacy.paths import find_path
from videopath.core.privacy.personal import personal_reasons

UNREADABLE = "unreadable metadata"
"""The name of the field that stands for metadata that cannot be read."""

_MAX_FIELDS = 200
_MAX_FILES = 20  # of a folder of frames
_MAX_VALUE = 1 << 16  # characters of a value that are searched for a person's data
_OTHER = "another field"  # a tag of the file's own, whose name may say something of a person as well

_PERSONAL = {
    "title": "a title", "artist": "an author", "author": "an author", "album_artist": "an author", "composer": "an author",
    "performer": "an author", "director": "an author", "producer": "an author", "publisher": "an author", "owner": "an author",
    "comment": "a comment", "description": "a description", "synopsis": "a description", "keywords": "keywords",
    "subject": "a description", "lyrics": "a comment", "show": "a title", "album": "a title", "episode_id": "a title",
    "location": "a place", "location-eng": "a place", "gps": "a place", "copyright": "a copyright notice",
    "make": "a device", "model": "a device", "serial number": "a device",
    "creation_time": "a time of recording", "date": "a time of recording", "creation date": "a time of recording",
    "chapter": "a chapter", "subtitles": "subtitles", "attachment": "an attachment", "data": "a data stream",
    "xmp": "XMP", "iptc": "IPTC", "maker note": "a device", "thumbnail": "a thumbnail", "user comment": "a comment",
    "host computer": "a device", "file name": "a file name", UNREADABLE: "metadata that cannot be read",
    _OTHER: "other fields",
}  # fmt: skip
"""Fields that may say something of a person or a place, and how a sentence names them."""

_TECHNICAL = {
    "major_brand", "minor_version", "compatible_brands", "encoder", "handler_name", "vendor_id", "language", "duration",
    "bps", "number_of_frames", "number_of_bytes", "_statistics_writing_app", "_statistics_writing_date_utc",
    "_statistics_tags", "timecode", "rotate", "variant_bitrate", "software", "writing_application", "encoded_by",
}  # fmt: skip
"""Fields about the file itself; they count as personal only if their value holds a person's data."""

_ALIKE = {
    "©nam": "title", "©art": "artist", "©cmt": "comment", "©day": "date", "©xyz": "location", "itch": "date",
    "com.apple.quicktime.artwork": "thumbnail", "com.apple.quicktime.creationdate": "creation date",
    "com.apple.quicktime.make": "make", "com.apple.quicktime.model": "model", "com.apple.quicktime.software": "software",
    "com.apple.quicktime.location.iso6709": "location", "com.apple.quicktime.author": "author",
    "com.apple.quicktime.title": "title", "com.apple.quicktime.description": "description",
    "com.apple.quicktime.comment": "comment", "com.apple.quicktime.displayname": "title",
    "com.android.version": "software", "com.android.manufacturer": "make", "com.android.model": "model",
    "date_recorded": "date", "creationdate": "creation date", "imagedescription": "description", "xptitle": "title",
    "xpcomment": "comment", "xpauthor": "author", "xpkeywords": "keywords", "xpsubject": "subject",
    "usercomment": "user comment", "bodyserialnumber": "serial number", "lensserialnumber": "serial number",
    "cameraserialnumber": "serial number", "cameraownername": "owner", "ownername": "owner", "gpsinfo": "gps",
    "datetime": "creation date", "datetimeoriginal": "creation date", "datetimedigitized": "creation date",
    "makernote": "maker note", "hostcomputer": "host computer", "documentname": "title", "pagename": "title",
    "imageid": "title", "imageuniqueid": "serial number", "xmlpacket": "xmp", "iptcnaainfo": "iptc",
    "imageresources": "iptc", "photoshop": "iptc", "raw profile type iptc": "iptc", "xml:com.adobe.xmp": "xmp",
    "creation time": "creation date", "source": "device", "warning": "comment", "disclaimer": "comment",
    "lensmake": "make", "lensmodel": "model", "processingsoftware": "software",
}  # fmt: skip
_PICTURE_TAGS = {
    "imagewidth", "imagelength", "bitspersample", "compression", "photometricinterpretation", "fillorder", "stripoffsets",
    "orientation", "samplesperpixel", "rowsperstrip", "stripbytecounts", "xresolution", "yresolution", "planarconfiguration",
    "resolutionunit", "transferfunction", "predictor", "whitepoint", "primarychromaticities", "colormap", "tilewidth",
    "tilelength", "tileoffsets", "tilebytecounts", "subifds", "extrasamples", "sampleformat", "jpegtables", "ycbcrcoefficients",
    "ycbcrsubsampling", "ycbcrpositioning", "referenceblackwhite", "intercolorprofile", "exifoffset", "exiftag",
    "exifinteroperabilityoffset", "newsubfiletype", "subfiletype", "pagenumber", "minsamplevalue", "maxsamplevalue",
    "smaxsamplevalue", "sminsamplevalue", "threshholding", "imagedepth", "tiledepth", "xposition", "yposition",
}  # fmt: skip
"""Tags that describe the stored pixels."""


class MetadataField(BaseModel):
    """One field of a file's metadata, without its value."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(
        description='its usual name, such as "title"; "another field" for a name of the file\'s own'
    )
    sha256: str = Field(description="of its value as text")
    personal: bool = Field(
        description="whether such a field, or this one's value, may say something of a person"
    )


def metadata_of(path: str | Path) -> list[MetadataField]:
    """Return which fields of metadata a file has; of a folder of frames, those of its first files.

    Args:
        path: A video, an image or a folder of frames, under its own name or its screened one.

    Returns:
        The fields, each once, in the order of the file. Metadata that cannot be read is one field, ``UNREADABLE``.

    Raises:
        OSError: The file is missing or may not be read.
    """
    path = find_path(Path(path).expanduser().absolute())
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        found = [field for file in files[:_MAX_FILES] for field in _fields(file)]
    else:
        found = list(_fields(path))
    return list(dict.fromkeys(found))[:_MAX_FIELDS]


def metadata_sentence(fields: Iterable[MetadataField]) -> str:
    """Return what a file carries, in one sentence; empty if nothing of it may say something of a person."""
    personal = sorted((field for field in fields if field.personal), key=lambda field: field.name == _OTHER)
    kinds = list(dict.fromkeys(_PERSONAL.get(field.name, "a person's data") for field in personal))
    if not kinds:
        return ""
    listed = kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} and {kinds[-1]}"
    return f"The file carries {listed}; none of it was stored."


def _fields(path: Path) -> Iterator[MetadataField]:
    from videopath.media.foreign import foreign_kind, read_head
    from videopath.media.image.files import is_picture

    head = read_head(path)
    if not head or foreign_kind(path, head) is not None:
        return
    picture = is_picture(head) or head.startswith(b"GIF8")
    yield from _picture_fields(path, head) if picture else _video_fields(path)


def _field(name: str, value: Any) -> MetadataField:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    name = name.casefold().removesuffix("-eng").strip()
    name = _ALIKE.get(name, name)
    if name not in _PERSONAL and name not in _TECHNICAL:
        name = _OTHER
    personal = name in _PERSONAL or bool(personal_reasons(text[:_MAX_VALUE]))
    return MetadataField(name=name, sha256=sha256_text(text), personal=personal)


# Videos


def _video_fields(path: Path) -> Iterator[MetadataField]:
    import av

    from videopath.media.video.source import CONTAINER_OPTIONS

    try:
        with av.open(str(path), options=CONTAINER_OPTIONS, metadata_errors="replace") as container:
            yield from _tags(container.metadata)
            for stream in container.streams:
                if stream.type not in ("video", "audio"):
                    kind = {"subtitle": "subtitles", "attachment": "attachment"}.get(str(stream.type), "data")
                    yield _field(kind, f"{stream.index} {sorted(dict(stream.metadata).items())}")
                yield from _tags(stream.metadata)
            for chapter in getattr(container, "chapters", lambda: [])():
                yield _field("chapter", sorted(dict(chapter["metadata"]).items()))
    except (av.FFmpegError, UnicodeError, ValueError):
        yield _field(UNREADABLE, "")


def _tags(metadata: Any) -> Iterator[MetadataField]:
    for name, value in dict(metadata).items():
        if str(value).strip():
            yield _field(str(name), value)


# Pictures

_EXIF_FOLDERS = (0x8769, 0x8825)  # Exif and GPS
_GPS = 0x8825


def _picture_fields(path: Path, head: bytes) -> Iterator[MetadataField]:
    from videopath.media.image.files import DAMAGED, TIFF_STARTS

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if head.startswith(TIFF_STARTS):
                yield from _tiff_fields(path)
            else:
                yield from _pillow_fields(path, head)
    except (*DAMAGED, InputError):
        yield _field(UNREADABLE, "")


def _tiff_fields(path: Path) -> Iterator[MetadataField]:
    import tifffile

    with tifffile.TiffFile(path, _multifile=False) as tiff:
        for page in list(tiff.pages)[:_MAX_FILES]:
            for tag in getattr(page, "tags", ()):
                if tag.name.casefold() not in _PICTURE_TAGS:
                    yield _field("gps" if tag.code == _GPS else tag.name, tag.value)


def _pillow_fields(path: Path, head: bytes) -> Iterator[MetadataField]:
    from PIL import ExifTags

    from videopath.media.image.files import opened_lazily

    with opened_lazily(path, head) as image:
        exif = image.getexif()
        for tag, value in exif.items():
            name = ExifTags.TAGS.get(tag, "")
            if tag not in _EXIF_FOLDERS and name.casefold() not in _PICTURE_TAGS:
                yield _field(name or _OTHER, value)
        for tag, value in exif.get_ifd(_EXIF_FOLDERS[0]).items():
            name = ExifTags.TAGS.get(tag, "")
            if name.casefold() in _ALIKE or personal_reasons(str(value)[:_MAX_VALUE]):
                yield _field(name, value)
        if places := exif.get_ifd(_GPS):
            yield _field("gps", sorted(places.items()))
        for key, held in image.info.items():
            if isinstance(held, str | bytes) and re.fullmatch(
                _TEXT_CHUNKS, str(key), re.IGNORECASE | re.DOTALL
            ):
                yield _field(str(key), held)


_TEXT_CHUNKS = (
    r"(?!exif|icc_profile|srgb|gamma|dpi|jfif.*|adobe.*|version|background|extension|transparency).*"
)
"""Names in Pillow's ``info`` that hold texts of the file: comments, text chunks, XMP."""
