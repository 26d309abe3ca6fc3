"""Croissant metadata of a set: its files with their hashes and its fields, as JSON-LD (mlcommons.org/croissant 1.0).

It is written without ``mlcroissant`` and checked with it where the extra ``dataset`` is installed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from videopath.core.files import sha256_file, write_text
from videopath.dataset.finishing.exports import LINES, Entry
from videopath.dataset.finishing.material import Candidate
from videopath.dataset.options import SetOptions
from videopath.dataset.set_folder import SetFolder

CROISSANT = "croissant.json"
_TEXT, _BOOLEAN, _INTEGER, _FLOAT = "sc:Text", "sc:Boolean", "sc:Integer", "sc:Float"
_FIELDS: dict[str, tuple[str, str]] = {
    "id": (_TEXT, "Id of the pair"),
    "video": (_TEXT, "The clip, relative to the set's folder"),
    "conversations": (_TEXT, "The question, after a mark for the clip, and its answer"),
    "source": (_TEXT, "The recording"),
    "group": (_TEXT, "What must stay on one side of a split"),
    "split": (_TEXT, "train, validation or test"),
    "site": (_TEXT, "Anatomical site, if a text names it"),
    "diagnosis": (_TEXT, "The diagnosis that the answer names"),
    "licence": (_TEXT, "Licence of the recording, as its owner stated it"),
    "about": (_TEXT, "description or diagnosis"),
    "blind": (_BOOLEAN, "Whether the answer rests on the picture alone"),
    "origin": (_TEXT, "model or person"),
    "model": (_TEXT, "The model that wrote the answer"),
    "quality": (_INTEGER, "0 to 5, by a second pass; null if it was not rated"),
    "clip_sha256": (_TEXT, "SHA-256 of the clip"),
    "product": (_TEXT, "keyframe clip or case video"),
    "recording_sha256": (_TEXT, "SHA-256 of the recording"),
    "recording_start": (_FLOAT, "Seconds of the recording at which the clip begins"),
    "recording_end": (_FLOAT, "Seconds of the recording at which the clip ends"),
}
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write_croissant(
    folder: SetFolder, candidates: Sequence[Candidate], entries: Sequence[Entry], options: SetOptions
) -> list[str]:
    """Write the metadata of the set's files, which must be there, and return the name of the file."""
    metadata = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": options.name,
        "description": "Clips of pathology videos with questions and answers about them, made with VideoPath from "
        f"{len({entry['source'] for entry in entries})} recordings. For research only.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": options.licence,
        "version": "1.0.0",
        "rai:dataLimitations": "A model's answers are not checked by a pathologist unless their origin is a person.",
        "distribution": [
            _file(LINES, "application/jsonlines", sha256_file(folder.path / LINES)),
            *_clips(candidates),
        ],
        "recordSet": [_record_set()],
    }
    write_text(folder.path / CROISSANT, json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")
    return [CROISSANT]


def croissant_note(folder: SetFolder) -> str:
    """Return what ``mlcroissant`` says of the metadata, or that it is not installed. Nothing is downloaded."""
    if find_spec("mlcroissant") is None:
        return f"{CROISSANT} was not checked: mlcroissant is not installed (extra `dataset`)."
    problems = croissant_problems(folder.path / CROISSANT)
    return f"{CROISSANT} is not valid: {problems}" if problems else f"{CROISSANT} is valid by mlcroissant."


def croissant_problems(file: Path) -> str:
    """Return why metadata is not valid, or an empty text. Needs ``mlcroissant``."""
    import mlcroissant

    logger = logging.getLogger("absl")
    level, disabled = logger.level, logger.disabled
    logger.disabled = True  # it repeats what the exception says
    try:
        mlcroissant.Dataset(jsonld=str(file))
    except mlcroissant.ValidationError as error:
        return str(error).strip()
    finally:
        logger.setLevel(level)
        logger.disabled = disabled
    return ""


def _clips(candidates: Sequence[Candidate]) -> list[dict[str, str]]:
    clips = {candidate.clip.file: candidate.clip.sha256 for candidate in candidates}
    return [_file(name, "video/mp4", digest) for name, digest in sorted(clips.items())]


def _file(name: str, encoding: str, digest: str) -> dict[str, str]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": encoding,
        "sha256": digest,
    }


def _record_set() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "pairs",
        "name": "pairs",
        "key": {"@id": "pairs/id"},
        "field": [_field(name, kind, description) for name, (kind, description) in _FIELDS.items()],
    }


def _field(name: str, kind: str, description: str) -> dict[str, Any]:
    source: dict[str, Any] = {"fileObject": {"@id": LINES}, "extract": {"column": name}}
    turns = name == "conversations"  # a list of objects, of which the texts are taken
    return {
        "@type": "cr:Field",
        "@id": f"pairs/{name}",
        "name": f"pairs/{name}",
        "description": description,
        "dataType": kind,
        **({"repeated": True} if turns else {}),
        "source": source | ({"transform": {"jsonPath": "$.value"}} if turns else {}),
    }
