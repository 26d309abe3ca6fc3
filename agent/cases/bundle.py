"""The bundle: one zip with a case's report, trace, questions, evidence frames, and a manifest of their SHA-256.

The same case gives the same bytes: the members are sorted and have one fixed time.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import struct
import zipfile
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from pydantic import ValidationError

from videopath.agent.cases.questions import (
    QUESTIONS_NAME,
    parse_questions,
    questions_text,
    read_questions,
)
from videopath.agent.cases.records import CaseReport, FollowUp, Step
from videopath.agent.cases.redaction import questions_without_paths, steps_without_paths, without_paths
from videopath.agent.cases.trace import TRACE_NAME, parse_trace, trace_text
from videopath.core.errors import CaseError, InputError
from videopath.core.files import replaced_on_success, sha256_file
from videopath.core.jsonl import parse_json

MANIFEST_NAME = "manifest.json"
REPORT_NAME = "report.json"
MARKDOWN_NAME = "report.md"
FRAMES_FOLDER = "frames"
_FORMAT = "videopath-bundle"
_VERSION = 1
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest time that zip can store
_MAX_BYTES = 512 << 20  # of all members unpacked: guards against zip bombs
_MAX_TEXT_BYTES = 64 << 20  # of a member that is read whole
_TEXTS = (MANIFEST_NAME, REPORT_NAME, TRACE_NAME, QUESTIONS_NAME)
_CHUNK = 1 << 20
_DAMAGE = (
    OSError, ValueError, OverflowError, EOFError, NotImplementedError, RuntimeError,
    struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What zipfile raises for a damaged zip; for an offset before its start an ``OSError`` or a ``ValueError``."""
_Member = bytes | Path  # the content, or a file to copy


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and compared with its manifest."""

    path: Path
    report: CaseReport
    steps: list[Step]
    manifest: dict[str, Any]
    problems: list[str]  # a sentence for each difference from the manifest
    questions: list[FollowUp] = field(default_factory=list)  # asked after the diagnosis


def save_bundle(report: CaseReport, path: Path, *, with_paths: bool = False) -> Path:
    """Write the bundle and return its path. An interrupted write leaves no file.

    Args:
        report: The report. Trace, questions and frames come from ``report.folder``; if the trace is missing or damaged,
            the report's own steps are written.
        path: The zip file to write.
        with_paths: Write whole paths, not only the names of files and folders.
    """
    steps, questions = _steps_of_trace(report), _questions_of(report)
    if not with_paths:
        steps, questions = steps_without_paths(steps, report), questions_without_paths(questions, report)
        report = without_paths(report)
    members = _members(report, steps, questions)
    members[MANIFEST_NAME] = _json_bytes(_manifest(report, members))
    with replaced_on_success(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = 0o644 << 16
            info.create_system = 3  # the same bytes on every system
            is_compressed = name.endswith(".png")
            info.compress_type = zipfile.ZIP_STORED if is_compressed else zipfile.ZIP_DEFLATED
            with _open(members[name]) as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, _CHUNK)
    return path


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and compare every member with its manifest.

    Members that were changed, removed or added are listed in ``problems``.

    Raises:
        InputError: The file is not a bundle, or its report or trace cannot be read.
    """
    texts, hashes, problems = _read_members(path)
    manifest = _read_manifest(path, texts.get(MANIFEST_NAME, b""))
    problems += _differences(hashes, manifest["files"])
    try:
        report = CaseReport.from_json(texts[REPORT_NAME])
        steps = list(parse_trace(texts.get(TRACE_NAME, b"")))
        questions = list(parse_questions(texts.get(QUESTIONS_NAME, b"")))
    except (KeyError, ValidationError, CaseError) as error:
        raise InputError(
            f"{path} is not a usable bundle: its report, its trace or its questions are missing or damaged."
        ) from error
    if steps != report.steps:
        problems.append(f"{TRACE_NAME} and {REPORT_NAME} have different steps.")
    return Bundle(path, report, steps, manifest, problems, questions)


def _steps_of_trace(report: CaseReport) -> list[Step]:
    """Return the steps of the trace on disk, or the report's own if the trace is missing or damaged."""
    path = report.folder / TRACE_NAME if report.folder else None
    if path is not None and path.is_file():
        with suppress(CaseError):
            return list(parse_trace(path.read_bytes()))
    return report.steps


def _questions_of(report: CaseReport) -> list[FollowUp]:
    """Return the questions on disk that can be read, or the report's own if it has no folder."""
    if report.folder is None:
        return report.questions
    return [asked for asked in read_questions(report.folder) if asked.asked]  # a damaged line has no time


def _members(report: CaseReport, steps: list[Step], questions: list[FollowUp]) -> dict[str, _Member]:
    members: dict[str, _Member] = {
        REPORT_NAME: report.to_json().encode(),
        MARKDOWN_NAME: report.to_markdown(with_paths=True).encode(),  # the paths that the report still has
        TRACE_NAME: trace_text(steps).encode(),
    }
    if questions:
        members[QUESTIONS_NAME] = questions_text(questions).encode()
    folder = report.folder
    if folder and (folder / FRAMES_FOLDER).is_dir():
        for frame in sorted((folder / FRAMES_FOLDER).glob("*.png")):
            members[f"{FRAMES_FOLDER}/{frame.name}"] = frame
    return members


def _manifest(report: CaseReport, members: dict[str, _Member]) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "case_id": report.case_id,
        "notice": report.notice,
        "video_sha256": report.video.sha256 if report.video else None,
        "files": {name: _sha256(members[name]) for name in sorted(members)},
    }


def _open(member: _Member) -> BinaryIO:
    return member.open("rb") if isinstance(member, Path) else io.BytesIO(member)


def _sha256(member: _Member) -> str:
    return sha256_file(member) if isinstance(member, Path) else hashlib.sha256(member).hexdigest()


def _json_bytes(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _read_members(path: Path) -> tuple[dict[str, bytes], dict[str, str], list[str]]:
    """Return the text members, the hash of every member but the manifest, and problems with member names."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            _check_members(path, infos)
            counts = Counter(info.filename for info in infos)
            problems = [f"{name} is {n} times in the bundle." for name, n in counts.items() if n > 1]
            texts = {info.filename: archive.read(info) for info in infos if info.filename in _TEXTS}
            hashes = {
                info.filename: _member_sha256(archive, info)
                for info in infos
                if info.filename != MANIFEST_NAME
            }
            return texts, hashes, problems
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"There is no bundle {path}.") from error
    except IsADirectoryError as error:
        raise InputError(
            f"{path} is a folder; give a zip file that `videopath cases export` wrote."
        ) from error
    except _DAMAGE as error:
        reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{path} is not a readable bundle ({reason}): it is damaged or not a zip."
        ) from error


def _check_members(path: Path, infos: list[zipfile.ZipInfo]) -> None:
    """Raise ``InputError`` for members that are too large or have an unsafe name."""
    if sum(info.file_size for info in infos) > _MAX_BYTES:
        raise InputError(
            f"{path} unpacks to more than {_MAX_BYTES >> 20} MiB: this is not a VideoPath bundle."
        )
    for info in infos:
        if not _is_safe(info.filename):
            raise InputError(
                f"{path} has a member with an unsafe name ({info.filename!r}), so it is not opened."
            )
        if info.filename in _TEXTS and info.file_size > _MAX_TEXT_BYTES:
            raise InputError(
                f"{path} has a {info.filename} of more than {_MAX_TEXT_BYTES >> 20} MiB: "
                "this is not a VideoPath bundle."
            )


def _member_sha256(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with archive.open(info) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _read_manifest(path: Path, data: bytes) -> dict[str, Any]:
    try:
        manifest = parse_json(data, MANIFEST_NAME)
    except InputError as error:
        raise InputError(f"{path} has no readable {MANIFEST_NAME}: it is not a VideoPath bundle.") from error
    is_bundle = (
        isinstance(manifest, dict)
        and manifest.get("format") == _FORMAT
        and isinstance(manifest.get("files"), dict)
    )
    if not is_bundle or manifest.get("version") != _VERSION:
        raise InputError(
            f"{path} is not a VideoPath bundle of version {_VERSION}, the only version that can be read."
        )
    return manifest


def _differences(hashes: dict[str, str], files: dict[str, str]) -> list[str]:
    problems = [
        f"{name} is in the manifest but not in the bundle." for name in sorted(files.keys() - hashes.keys())
    ]
    problems += [
        f"{name} is in the bundle but not in the manifest." for name in sorted(hashes.keys() - files.keys())
    ]
    for name in sorted(files.keys() & hashes.keys()):
        if hashes[name] != files[name]:
            problems.append(f"{name} was changed: its SHA-256 is not the one in the manifest.")
    return problems
