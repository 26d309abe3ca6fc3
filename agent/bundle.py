"""The bundle: one zip that holds a case's report, trace, evidence frames and a manifest of SHA-256 of them all.

The same case gives the same bytes: members are sorted and carry one fixed time.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from videopath.agent.records import CaseReport, Step
from videopath.agent.trace import TRACE_NAME, parse_trace, trace_text
from videopath.core.errors import CaseError, InputError
from videopath.core.files import replaced_on_success

MANIFEST_NAME = "manifest.json"
REPORT_NAME = "report.json"
MARKDOWN_NAME = "report.md"
FRAMES_FOLDER = "frames"
_FORMAT = "videopath-bundle"
_VERSION = 1
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows
_LARGEST = 512 << 20  # bytes of all members unpacked: a bundle is small, a zip bomb is not


@dataclass(frozen=True)
class Bundle:
    """A bundle that was read and whose hashes were compared."""

    path: Path
    report: CaseReport
    steps: list[Step]
    manifest: dict[str, Any]
    problems: list[str]  # what differs from the manifest, one sentence each; empty when nothing does


def save_bundle(report: CaseReport, path: Path) -> Path:
    """Write the bundle, whole or not at all, and return its path.

    Trace and frames come from ``report.folder``; a report without a folder carries its steps as the trace.
    """
    members = _members(report)
    members[MANIFEST_NAME] = _json_bytes(_manifest(report, members))
    with replaced_on_success(path) as part, zipfile.ZipFile(part, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr = 0o644 << 16
            info.create_system = 3  # the same bytes on every system
            stored = name.endswith(".png")
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name])
    return path


def read_bundle(path: Path) -> Bundle:
    """Read a bundle and compare every member with its manifest.

    Raises ``InputError`` when the file is not a bundle at all; members that are changed, missing or added are
    told in ``problems``.
    """
    members = _read_members(path)
    manifest = _read_manifest(path, members.pop(MANIFEST_NAME, b""))
    problems = _differences(members, manifest["files"])
    try:
        report = CaseReport.from_json(members[REPORT_NAME])
        steps = list(parse_trace(members.get(TRACE_NAME, b"")))
    except (KeyError, ValidationError, CaseError) as error:
        raise InputError(
            f"{path} is not a usable bundle: its report or its trace is missing or damaged."
        ) from error
    if steps != report.steps:
        problems.append(f"{TRACE_NAME} and {REPORT_NAME} do not tell the same steps.")
    return Bundle(path, report, steps, manifest, problems)


def _members(report: CaseReport) -> dict[str, bytes]:
    members = {REPORT_NAME: report.to_json().encode(), MARKDOWN_NAME: report.to_markdown().encode()}
    folder = report.folder
    trace = folder / TRACE_NAME if folder else None
    members[TRACE_NAME] = (
        trace.read_bytes() if trace and trace.exists() else trace_text(report.steps).encode()
    )
    if folder and (folder / FRAMES_FOLDER).is_dir():
        for frame in sorted((folder / FRAMES_FOLDER).glob("*.png")):
            members[f"{FRAMES_FOLDER}/{frame.name}"] = frame.read_bytes()
    return members


def _manifest(report: CaseReport, members: dict[str, bytes]) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "case_id": report.case_id,
        "notice": report.notice,
        "video_sha256": report.video.sha256 if report.video else None,
        "files": {name: _sha256(members[name]) for name in sorted(members)},
    }


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json_bytes(value: dict[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _read_members(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if sum(info.file_size for info in infos) > _LARGEST:
                raise InputError(
                    f"{path} unpacks to more than {_LARGEST >> 20} MiB: this is not a VideoPath bundle."
                )
            unsafe = [info.filename for info in infos if not _safe(info.filename)]
            if unsafe:
                raise InputError(
                    f"{path} has a member with an unsafe name ({unsafe[0]!r}): it is not opened."
                )
            return {info.filename: archive.read(info) for info in infos}
    except FileNotFoundError as error:
        raise InputError(f"There is no bundle {path}.") from error
    except IsADirectoryError as error:
        raise InputError(
            f"{path} is a folder; a bundle is a zip that `videopath cases export` wrote."
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{path} is not a readable bundle ({error}): it is damaged or not a zip.") from error


def _safe(name: str) -> bool:
    parts = PurePosixPath(name)
    return not parts.is_absolute() and ".." not in parts.parts and "\\" not in name


def _read_manifest(path: Path, data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise InputError(
            f"{path} is a zip without a readable {MANIFEST_NAME}: it is not a VideoPath bundle."
        ) from error
    known = (
        isinstance(manifest, dict)
        and manifest.get("format") == _FORMAT
        and isinstance(manifest.get("files"), dict)
    )
    if not known or manifest.get("version") != _VERSION:
        raise InputError(
            f"{path} is not a VideoPath bundle of version {_VERSION}, the only one that is known."
        )
    return manifest


def _differences(members: dict[str, bytes], files: dict[str, str]) -> list[str]:
    problems = [
        f"{name} is in the manifest but not in the bundle." for name in sorted(files.keys() - members.keys())
    ]
    problems += [
        f"{name} is in the bundle but not in the manifest." for name in sorted(members.keys() - files.keys())
    ]
    for name in sorted(files.keys() & members.keys()):
        if _sha256(members[name]) != files[name]:
            problems.append(f"{name} was changed: its SHA-256 is not the manifest's.")
    return problems
