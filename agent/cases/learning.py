"""Learning from a case: a signed case becomes a record of a knowledge base.

The source of the record is the SHA-256 of its video. So a video under another name is never answered with itself.
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
from videopath.core.privacy.paths import find_path, screened_label

if TYPE_CHECKING:
    from videopath.agent.cases.records import CaseReport, Decision
    from videopath.knowledge import InstructionRecord, Media, Viewer
    from videopath.knowledge.storage.manifest import FrameViews

LICENCE = "own case, not licensed to others"


def record_id(case_id: str) -> str:
    """Return the id of the record that a case becomes."""
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
    """Return a signed case as an instruction record.

    A person must have written or confirmed its description, at the signature or here. Its diagnosis is the signed one,
    or that of the latest addendum.

    Args:
        report: The report of the case.
        patient: Patient id; the record is never used for other cases of this patient. If it is a record number or a
            name, its hash is stored.
        group: Group id, stored likewise; the record is never used for other cases of this group.
        description: A person's description, in place of the report's.
        findings: A person's findings; those that the description lacks are added to it.
        confirmed: Whether ``reviewer`` confirms the description as it is.
        reviewer: Who wrote or confirmed it here.

    Raises:
        CaseError: The case is not signed, nobody confirmed its description, or its words say that their writer does
            not know the tissue.
    """
    from videopath.knowledge import InstructionRecord
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
        media=(_media_of(report, report.video.path),),
        patient=patient and screened_label(patient),
        group=group and screened_label(group),
        provenance=provenance_of(report) | _description_of(report, written, reviewer),
    )


def _media_of(report: CaseReport, path: str) -> Media:
    """Return the part of the video that the case looked at, with its writing filled as it was for the model."""
    from videopath.knowledge import Media

    settings = report.settings
    return Media(
        path=path,
        start=settings.start,
        end=settings.end,
        crop=settings.crop,
        writing=settings.writing if "rule" in report.burned_in else None,
        masks=settings.masks,
    )


def not_confirmed(report: CaseReport) -> str:
    """Return why a signed case does not become a record, and what to do."""
    return (
        f"The description of case {report.case_id} is the agent's, and nobody has confirmed it: "
        f"“{_short(report.description)}” Read it and confirm it (`videopath cases learn {report.case_id} FOLDER "
        "--confirm`), or write your own (--description, --finding)."
    )


def _written(description: str | None, findings: Sequence[str] | None) -> str | None:
    """Return what a person wrote for the record: the description, and the findings that it lacks."""
    text = " ".join((description or "").split())
    lines = (" ".join(line.split()) for line in findings or ())
    parts = [text, *(line for line in lines if line not in text)]
    return " ".join(part for part in parts if part) or None


def _refuse_not_known(report: CaseReport, description: str, diagnosis: str) -> None:
    """Reject words by which a model says that it does not know, even if a person confirmed them."""
    own = report.provenance.get("unknown_label")
    if is_no_diagnosis(diagnosis, own) or says_not_known(diagnosis, own):
        raise CaseError(
            f"Case {report.case_id} has no diagnosis ({diagnosis or 'none'}), so it does not become a record. "
            f"Give a diagnosis in an addendum: `videopath cases addendum {report.case_id} --diagnosis …`."
        )
    if sentences := not_known_in(description, own):
        raise CaseError(
            f"The description of case {report.case_id} says that its writer does not know the tissue (“{sentences[0]}”): "
            "write what you see (--description, --finding)."
        )


def _description_of(report: CaseReport, written: str | None, reviewer: str | None) -> dict[str, str]:
    """Return who wrote the description, and who confirmed it, at the signature or now."""
    person = (reviewer or "").strip() or "a person who gave no name"
    if written is not None:
        return {"description by": person, "written": now()}
    if writer := writer_of("description", report):
        return {"description by": writer}
    if is_confirmed(report):
        return {"description by": f"the agent, confirmed by {report.review[-1].reviewer}"}
    return {"description by": f"the agent, confirmed by {person}", "confirmed": now()}


def _corrected(decision: Decision) -> dict[str, dict[str, Any]]:
    """What a decision changed in the agent's words; annotations only add to them."""
    return {name: change for name, change in decision.changes.items() if name != "annotations"}


def provenance_of(report: CaseReport) -> dict[str, str]:
    """Return the provenance of a record: the case, the model, and who signed or corrected what, and when."""
    provenance = {
        "case": report.case_id,
        "model": report.model,
        "weights": str(report.provenance.get("weights", "")),
        "video": report.video.path if report.video else "",
    }
    if report.review:
        last = report.review[-1]
        provenance |= {"reviewer": last.reviewer, "decided": last.decided, "decision": last.action}
        corrected = (
            f"{name} by {d.reviewer or 'a reviewer'}" for d in report.review for name in _corrected(d)
        )
        provenance["corrected"] = ", ".join(dict.fromkeys(corrected))
        provenance |= {
            f"{name} before": _short(change["from"])
            for d in report.review
            for name, change in _corrected(d).items()
        }
    if amending := [addendum for addendum in report.addenda if addendum.diagnosis]:
        last_one = amending[-1]
        provenance |= {
            "amended by": last_one.reviewer,
            "amended": last_one.added,
            "signed as": report.diagnosis,
        }
    return {name: value for name, value in provenance.items() if value}


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
    """Add a signed case to a knowledge base and return the id of the record.

    The record gets image vectors if the video is unchanged and the knowledge base has an image view; a new base has
    one if the case is nano's. If the frames cannot be encoded, the change log says why.

    Args:
        report: The report of the case.
        folder: The knowledge base; it is created if the folder has none.
        viewer: What encodes the frames. By default the encoder that the base names, unless a model would have to be
            loaded for it.
        patient: As in :func:`record_of`, like the arguments after it.
        group: See :func:`record_of`.
        description: See :func:`record_of`.
        findings: See :func:`record_of`.
        confirmed: See :func:`record_of`.
        reviewer: See :func:`record_of`.

    Raises:
        CaseError: As in :func:`record_of`, or the case is already in the knowledge base.
        KnowledgeError: The folder cannot be used.
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
            "The starter knowledge base is part of VideoPath and is never changed: give a folder of your own. "
            "It is created if it does not exist."
        )
    with _folder_lock(folder):
        if not (folder / MANIFEST).exists():
            viewer = viewer or _viewer_of(report, f"tower:{report.settings.model}")[0]
            KnowledgeBase.build(folder, [record], viewer=viewer)
            return record.id
        base = KnowledgeBase.open(folder)
        if any(other.id == record.id for other in base):
            raise CaseError(f"Case {report.case_id} is already in the knowledge base {folder}: {record.id}.")
        note, mark = f"signed case {report.case_id}", base.image_encoder
        if viewer is None and mark is not None:
            viewer, why_not = _viewer_of(report, mark.name, mark.views, mark.sha256)
            note += f"; its pictures were not seen: {why_not}" if why_not else ""
        base.add([record], viewer=viewer, note=note)
    return record.id


def _viewer_of(
    report: CaseReport, encoder: str, views: FrameViews = "parts", sha256: str | None = None
) -> tuple[Viewer | None, str]:
    """Return a viewer of the case's video with this encoder; or None, and why there is none."""
    from videopath.tools.frame_encoders.loading import is_loaded_by_name, load_frame_encoder
    from videopath.tools.frame_encoders.media_viewer import MediaViewer

    if not is_loaded_by_name(encoder):
        return None, f"the model of {encoder} is not loaded for it"
    if why_not := _why_video_differs(report):
        return None, why_not
    try:
        viewer = MediaViewer(load_frame_encoder(encoder), None, views=views)
    except (
        InputError
    ) as error:  # the encoder is not installed here; the record is useful without image vectors
        return None, str(error)
    if sha256 not in (None, viewer.sha256):
        return None, f"{encoder} has other weights here"
    return viewer, ""


def _why_video_differs(report: CaseReport) -> str:
    """Return why the case's video is not the one that was signed; empty if it is."""
    from videopath.media.clip import open_source

    assert report.video is not None
    path = Path(report.video.path)
    if not find_path(path).exists():
        return f"{path} is gone"
    try:
        same = open_source(path).sha256() == report.video.sha256
    except InputError as error:
        return str(error)
    return "" if same else f"{path} is another file now"


def _short(value: Any, limit: int = 300) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _folder_lock(folder: Path) -> FileLock:
    """Return a lock beside the folder, so that two people do not create the same knowledge base at once."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(folder.parent / f".{folder.name}.lock")
    except OSError as error:
        raise KnowledgeError(
            f"The knowledge base {folder} cannot be written ({error.strerror or error}): choose another folder."
        ) from error
