"""Signed cases as knowledge: what a person has confirmed helps with the next case.

A record's source is the SHA-256 of its video: the same video under any name is never answered with itself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from videopath.agent.decision.not_known import not_known_in, says_not_known
from videopath.agent.decision.verdict import is_no_diagnosis
from videopath.agent.report.statements import is_confirmed, writer_of
from videopath.core.clock import now
from videopath.core.errors import CaseError, InputError, KnowledgeError

if TYPE_CHECKING:
    from videopath.agent.cases.records import CaseReport
    from videopath.knowledge import InstructionRecord, Viewer
    from videopath.knowledge.storage.manifest import Views

LICENCE = "own case, not licensed to others"


def record_id(case_id: str) -> str:
    """The id of the record that a case becomes."""
    return f"case-{case_id}"


def record_of(
    report: CaseReport,
    patient: str | None = None,
    group: str | None = None,
    *,
    description: str | None = None,
    findings: Sequence[str] | None = None,
    confirmed: bool = False,
    reviewer: str | None = None,
) -> InstructionRecord:
    """A signed case as an instruction record.

    Description and findings must be a person's: written or confirmed at the signature, written here
    (``description``, ``findings``), or confirmed here as they stand (``confirmed``), by ``reviewer``. The diagnosis is the one that was
    signed, or that of an addendum. ``patient``, ``group``: whose other cases may not be answered with it, where that
    is known.

    Raises ``CaseError`` for a case that nobody signed, whose description nobody confirmed, or whose words say that
    their writer does not know the tissue.
    """
    from videopath.knowledge import InstructionRecord, Media
    from videopath.model.prompts.questions import default_question

    if report.status != "signed" or report.video is None:
        raise CaseError(
            f"Case {report.case_id} is {report.status}: only a signed case becomes knowledge; sign it first."
        )
    written = _written(description, findings)
    if written is None and not (confirmed or is_confirmed(report)):
        raise CaseError(not_confirmed(report))
    text = report.description if written is None else written
    diagnosis = report.amended_diagnosis or report.diagnosis
    _refuse_not_known(report, text, diagnosis)
    return InstructionRecord(
        id=record_id(report.case_id),
        source=report.video.sha256,
        site=report.site,
        question=report.question or default_question(report.site),
        description=text,
        diagnosis=diagnosis,
        licence=LICENCE,
        media=(Media(path=report.video.path, start=report.settings.start, end=report.settings.end),),
        patient=patient,
        group=group,
        provenance=provenance_of(report) | _description_of(report, written, reviewer),
    )


def not_confirmed(report: CaseReport) -> str:
    """Why a signed case does not become knowledge as it is, and what to do."""
    return (
        f"The description of case {report.case_id} is the agent's, and nobody has confirmed it: "
        f"“{_short(report.description)}” Read it and confirm it (`videopath cases learn {report.case_id} FOLDER "
        "--confirm`), or write your own (--description, --finding)."
    )


def _written(description: str | None, findings: Sequence[str] | None) -> str | None:
    """What a person wrote for the record: the description, and the findings that do not stand in it."""
    text = " ".join((description or "").split())
    lines = (" ".join(line.split()) for line in findings or ())
    parts = [text, *(line for line in lines if line not in text)]
    return " ".join(part for part in parts if part) or None


def _refuse_not_known(report: CaseReport, description: str, diagnosis: str) -> None:
    """No sentence by which a model says that it does not know becomes knowledge, whoever confirmed it."""
    own = report.provenance.get("unknown_label")
    if is_no_diagnosis(diagnosis, own) or says_not_known(diagnosis, own):
        raise CaseError(
            f"Case {report.case_id} has no diagnosis ({diagnosis or 'none'}): it does not become knowledge. "
            f"Give one in an addendum: `videopath cases addendum {report.case_id} --diagnosis …`."
        )
    if said := not_known_in(description, own):
        raise CaseError(
            f"The description of case {report.case_id} says that its writer does not know the tissue (“{said[0]}”): "
            "write what is seen (--description, --finding)."
        )


def _description_of(report: CaseReport, written: str | None, reviewer: str | None) -> dict[str, str]:
    """Whose words the description is, and who confirmed it: at the signature, or now."""
    here = (reviewer or "").strip() or "a person who gave no name"
    if written is not None:
        return {"description by": here, "written": now()}
    if writer := writer_of("description", report):
        return {"description by": writer}
    if is_confirmed(report):
        return {"description by": f"the agent, confirmed by {report.review[-1].reviewer}"}
    return {"description by": f"the agent, confirmed by {here}", "confirmed": now()}


def provenance_of(report: CaseReport) -> dict[str, str]:
    """Where the record of a signed case comes from: case, model, and who signed or corrected what, and when."""
    said = {
        "case": report.case_id,
        "model": report.model,
        "weights": str(report.provenance.get("weights", "")),
        "video": report.video.path if report.video else "",
    }
    if report.review:
        last = report.review[-1]
        said |= {"reviewer": last.reviewer, "decided": last.decided, "decision": last.action}
        corrected = (f"{name} by {d.reviewer or 'a reviewer'}" for d in report.review for name in d.changes)
        said["corrected"] = ", ".join(dict.fromkeys(corrected))
        said |= {
            f"{name} before": _short(change["from"])
            for d in report.review
            for name, change in d.changes.items()
        }
    if added := [addendum for addendum in report.addenda if addendum.diagnosis]:
        said |= {"amended by": added[-1].reviewer, "amended": added[-1].added, "signed as": report.diagnosis}
    return {name: value for name, value in said.items() if value}


def add_to_knowledge(
    report: CaseReport,
    folder: str | Path,
    viewer: Viewer | None = None,
    *,
    patient: str | None = None,
    group: str | None = None,
    description: str | None = None,
    findings: Sequence[str] | None = None,
    confirmed: bool = False,
    reviewer: str | None = None,
) -> str:
    """Add a signed case to a knowledge base, made where the folder has none, and return the record's id.

    It is found by its pictures, too, where its video is still what it was and the knowledge base has pictures (a new
    one has, of a case of nano): seen by ``viewer``, else by the encoder that the knowledge base names, unless that is
    the tower of a model which would have to be loaded for it. Where its pictures could not be seen, the change log
    says why. The other arguments are as in :func:`record_of`.

    Raises ``CaseError`` as :func:`record_of` and for a case that is in it already, ``KnowledgeError`` for a folder that
    cannot be used.
    """
    from videopath.knowledge import STARTER_FOLDER, KnowledgeBase
    from videopath.knowledge.storage.manifest import MANIFEST

    record = record_of(
        report,
        patient,
        group,
        description=description,
        findings=findings,
        confirmed=confirmed,
        reviewer=reviewer,
    )
    folder = Path(folder).expanduser()
    if folder.resolve() == STARTER_FOLDER.resolve():
        raise KnowledgeError(
            "The starter knowledge base is part of VideoPath and is not changed; name a folder of your own, "
            "it is made where there is none."
        )
    with _one_at_a_time(folder):
        if not (folder / MANIFEST).exists():
            viewer = viewer or _viewer_of(report, f"tower:{report.settings.model}")[0]
            KnowledgeBase.build(folder, [record], viewer=viewer)
            return record.id
        base = KnowledgeBase.open(folder)
        if any(known.id == record.id for known in base):
            raise CaseError(f"Case {report.case_id} is in the knowledge base {folder} already: {record.id}.")
        note, mark = f"signed case {report.case_id}", base.image_encoder
        if viewer is None and mark is not None:
            viewer, why_not = _viewer_of(report, mark.name, mark.views, mark.sha256)
            note += f"; its pictures were not seen: {why_not}" if why_not else ""
        base.add([record], viewer=viewer, note=note)
    return record.id


def _viewer_of(
    report: CaseReport, encoder: str, views: Views = "parts", sha256: str | None = None
) -> tuple[Viewer | None, str]:
    """A viewer for the case's own video, by the encoder of this name and hash; or none, and why."""
    from videopath.tools.frame_encoders.loading import is_loaded_by_name, load_frame_encoder
    from videopath.tools.frame_encoders.media_viewer import MediaViewer

    if not is_loaded_by_name(encoder):
        return None, f"the model of {encoder} is not loaded for it"
    if why_not := _why_not_the_same(report):
        return None, why_not
    try:
        viewer = MediaViewer(load_frame_encoder(encoder), None, views=views)
    except InputError as error:  # the encoder is not installed here: the words are worth keeping without it
        return None, str(error)
    if sha256 not in (None, viewer.sha256):
        return None, f"{encoder} has other weights here"
    return viewer, ""


def _why_not_the_same(report: CaseReport) -> str:
    """Why the case's video is no longer what was signed; empty where it is."""
    from videopath.media.clip import open_source

    assert report.video is not None
    path = Path(report.video.path)
    if not path.exists():
        return f"{path} is gone"
    try:
        same = open_source(path).sha256() == report.video.sha256
    except InputError as error:
        return str(error)
    return "" if same else f"{path} is another file now"


def _short(value: Any, most: int = 300) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else text[: most - 1] + "…"


def _one_at_a_time(folder: Path) -> FileLock:
    """Two people who sign at once do not make the same knowledge base twice."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(folder.parent / f".{folder.name}.lock")
    except OSError as error:
        raise KnowledgeError(
            f"The knowledge base {folder} cannot be written: {error.strerror or error}; choose a folder that can."
        ) from error
