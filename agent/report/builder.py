"""The report builder: turns the state of a case into its report and its evidence frames."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videopath.agent.cases.bundle import FRAMES_FOLDER
from videopath.agent.cases.records import CaseReport, Finding, SimilarCase, VideoFacts
from videopath.agent.decision.looks import looks_taken, settled_look
from videopath.agent.decision.verdict import advice
from videopath.agent.graph.revision import corrected_description
from videopath.agent.graph.view import LookView, StateView
from videopath.core.choices import CaseStatus
from videopath.core.files import write_bytes
from videopath.core.pathology.labels import normalised_label
from videopath.model.inference.engine import EngineInfo
from videopath.tools.answers.answerable_questions import is_answered
from videopath.tools.schemas import DescribeResult, DiagnoseResult, RetrieveResult

if TYPE_CHECKING:
    from videopath.tools.session_pool import SessionPool

_STATUS_AFTER: dict[str, CaseStatus] = {"accept": "signed", "edit": "signed", "reject": "rejected"}
_PACKAGES = (
    "videopath-agent",
    "torch",
    "transformers",
    "langgraph",
    "faiss-cpu",
    "sentence-transformers",
    "numpy",
)


def build_report(case: StateView, images: dict[int, str]) -> CaseReport:
    """Return the report of a verified case. The model is not needed for it.

    Args:
        case: The case; at least one look is finished.
        images: Frame number → the path of its PNG, relative to the case folder.
    """
    info, look = case.model, settled_look(case)
    final, blind, described, retrieved = look.final, look.blind, look.described, look.retrieved
    report = CaseReport(
        case_id=case.case_id,
        status="abstained" if look.reasons else "done",
        created=case.created,
        video=_facts(case, described),
        site=case.site,
        question=case.question,
        diagnosis=final.label,
        differential=final.differential,
        confidence=look.confidence if look.is_calibrated else 0.0,
        abstained=bool(look.reasons),
        vouchers=look.vouchers,
        vote=retrieved.vote,
        rationale=_rationale(final),
        looks=looks_taken(case.looks),
        description=described.description,
        findings=_findings(case, described, images),
        similar_cases=_similar_cases(retrieved),
        excluded=retrieved.excluded,
        excluded_count=retrieved.excluded_count,
        retrieval_notes=retrieved.notes,
        blind_diagnosis=blind.label,
        blind_known_term=all(c.known_term for c in blind.differential if c.label == blind.label),
        changed_by_retrieval=not look.is_corrected
        and normalised_label(blind.label) != normalised_label(final.label),
        second_opinion=look.second,
        sent_to=_sent_to(case),
        quality=case.quality,
        burned_in=_burned_in(case),
        advice=[*look.reasons, *advice(look, case.quality, case.site, info.card)] if look.reasons else [],
        steps=list(case.steps),
        model=info.name,
        settings=case.settings,
        provenance=_provenance(case, look),
    )
    for decision in case.decisions:
        report.review.append(decision)
        if decision.action == "edit":
            described = corrected_description(decision, described)
            report.diagnosis = decision.diagnosis or report.diagnosis
            report.description = described.description
            report.findings = _findings(case, described, images)
        report.status = _STATUS_AFTER.get(decision.action, report.status)
    settled = report.status == "signed" or not report.abstained
    answered = is_answered(report.question, report.diagnosis, info.card.unknown_label)
    report.question_answered = answered and settled
    return report


def _rationale(final: DiagnoseResult) -> str:
    """Return the model's reasons, after its own diagnosis if the case ends with another one."""
    if not (final.rationale and final.generated and final.generated_differs):
        return final.rationale
    return f"The model's, for its own answer “{final.generated}”: {final.rationale}"


def save_evidence(folder: Path, sessions: SessionPool, look: LookView) -> dict[int, str]:
    """Write the evidence frame of each finding that has one as PNG.

    Returns:
        Frame number → path relative to the case folder.
    """
    findings = [finding for finding in look.described.findings if finding.is_located]
    if not findings:
        return {}
    clip = sessions.clip(look.request)
    images = {}
    for number in sorted({finding.frame for finding in findings}):
        position = int(np.flatnonzero(clip.indices == number)[0])
        images[number] = f"{FRAMES_FOLDER}/frame-{number:06d}.png"
        write_bytes(folder / images[number], _png(clip.frames[position]), private=True)
    return images


def _png(frame: np.ndarray) -> bytes:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def _findings(case: StateView, described: DescribeResult, images: dict[int, str]) -> list[Finding]:
    own = case.findings_of_model
    return [
        Finding(
            text=finding.text,
            seconds=finding.seconds,
            frame=finding.frame,
            image=images.get(finding.frame) if finding.is_located else None,
            by="model" if finding.text in own else "reviewer",
            rests_on=finding.rests_on,
            typical_of=finding.typical_of,
            moment=finding.moment,
        )
        for finding in described.findings
    ]


def _facts(case: StateView, described: DescribeResult) -> VideoFacts:
    """Return the source, with the frames of the look that the report rests on."""
    frames = {"seconds": described.frames.seconds, "indices": described.frames.indices}
    return case.facts.model_copy(update=frames)


def _burned_in(case: StateView) -> dict[str, Any]:
    """Return the writing that intake found; cases of early versions have a text there, not a record."""
    writing = case.steps[0].detail["burned_in_text"]
    return writing if isinstance(writing, dict) else {}


def _similar_cases(retrieved: RetrieveResult) -> list[SimilarCase]:
    return [
        SimilarCase(
            id=n.id,
            source=n.source,
            diagnosis=n.diagnosis,
            description=n.description,
            score=n.score,
            kept=n.kept,
            why=n.why,
            rank=n.rank,
            ranks=n.ranks,
            scores=n.scores,
        )
        for n in retrieved.neighbours
    ]


def _sent_to(case: StateView) -> dict[str, str]:
    """Return model → the address that frames of the case were sent to."""
    opinions = (look.second for look in case.looks if look.second)
    addresses = [(case.model.name, case.model.address), *((o.model, o.address) for o in opinions)]
    return {model: address for model, address in addresses if address}


def _provenance(case: StateView, look: LookView) -> dict[str, Any]:
    info, frames = case.model, look.described.frames
    return {
        "weights": info.weights_sha256,
        "video": case.facts.sha256,
        "frames": frames.sha256,
        "prompts": {
            f"{number}-{step.name}": step.hashes["prompt"]
            for number, step in enumerate(case.steps, 1)
            if "prompt" in step.hashes
        },
        "knowledge": case.knowledge,
        "source": info.source,
        "layout": info.layout,
        "licence": info.licence,
        "unknown_label": info.card.unknown_label,
        "calibrated": look.is_calibrated,
        "trained_on": info.card.trained_on,
        "device": info.device,
        "device_reason": info.device_reason,
        "dtype": info.dtype,
        "notes": frames.notes,
        **_way_of_asking(info),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _way_of_asking(info: EngineInfo) -> dict[str, str]:
    """Return how the model was asked and scored, and where its frames went, where that is not the usual."""
    usual = EngineInfo.model_fields
    values = {"wording": info.wording, "scoring": info.scoring, "address": info.address}
    return {name: value for name, value in values.items() if value != usual[name].default}


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return versions
