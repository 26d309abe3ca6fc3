"""From the state of a case to its report and its evidence frames."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videopath.agent.cases.bundle import FRAMES_FOLDER
from videopath.agent.cases.records import (
    CaseReport,
    CaseStatus,
    Decision,
    Finding,
    RunSettings,
    SimilarCase,
    Step,
    VideoFacts,
    Voucher,
)
from videopath.agent.decision.confidence import is_calibrated
from videopath.agent.decision.looks import looks_taken, settled_look
from videopath.agent.decision.verdict import advice
from videopath.agent.graph.revision import corrected_description, words_of_model
from videopath.agent.graph.state import CaseState, Look
from videopath.core.files import write_bytes
from videopath.core.pathology.labels import normalised_label
from videopath.model.inference.engine import EngineInfo
from videopath.tools.answers.answerable import is_answered
from videopath.tools.schemas import ClipInput, DescribeResult, DiagnoseResult, RetrieveResult

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


def engine_of(state: CaseState) -> EngineInfo | None:
    """The model that the case was begun with; none as long as no model was asked."""
    return EngineInfo.model_validate(state["engine"]) if "engine" in state else None


def is_fitted(state: CaseState) -> bool:
    """Whether the confidence of the case's model was fitted; without that it has no number."""
    return is_calibrated(EngineInfo.model_validate(state["engine"]).card.calibration)


def is_fitted_look(state: CaseState, look: Look) -> bool:
    """Whether a look's confidence is a probability: fitted for the model, or measured on the cases that vouch."""
    return look.get("calibrated", is_fitted(state))


def unknown_label_of(state: CaseState) -> str | None:
    """What the case's model says of tissue that it does not know; None for a model without such a label."""
    return EngineInfo.model_validate(state["engine"]).card.unknown_label


def report_of(state: CaseState, images: dict[int, str]) -> CaseReport:
    """The report of a case that was verified, without its model. ``images``: frame number → its PNG."""
    info, look = (
        EngineInfo.model_validate(state["engine"]),
        settled_look(state["looks"], unknown_label_of(state)),
    )
    final, blind = DiagnoseResult.model_validate(look["final"]), DiagnoseResult.model_validate(look["blind"])
    described = DescribeResult.model_validate(look["described"])
    retrieved = RetrieveResult.model_validate(look["retrieved"])
    report = CaseReport(
        case_id=state["case_id"],
        status="abstained" if look["reasons"] else "done",
        created=state["created"],
        video=_facts(state, described),
        site=state["site"],
        question=state["question"],
        diagnosis=final.label,
        differential=final.differential,
        confidence=look["confidence"] if is_fitted_look(state, look) else 0.0,
        abstained=bool(look["reasons"]),
        vouchers=[Voucher.model_validate(voucher) for voucher in look.get("vouchers", [])],
        vote=retrieved.vote,
        rationale=_rationale(final),
        looks=looks_taken(state["looks"], is_fitted(state)),
        description=described.description,
        findings=_findings(state, described, images),
        similar_cases=_similar_cases(retrieved),
        excluded=retrieved.excluded,
        excluded_count=retrieved.excluded_count,
        retrieval_notes=retrieved.notes,
        blind_diagnosis=blind.label,
        blind_known_term=all(c.known_term for c in blind.differential if c.label == blind.label),
        changed_by_retrieval=not look.get("corrected")
        and normalised_label(blind.label) != normalised_label(final.label),
        quality=state["quality"],
        burned_in=_burned_in(state),
        advice=[*look["reasons"], *advice(look, state["quality"], state["site"], info.card)]
        if look["reasons"]
        else [],
        steps=[Step.model_validate(step) for step in state["steps"]],
        model=info.name,
        settings=RunSettings.model_validate(state["settings"]),
        provenance=_provenance(state, info, described, look),
    )
    for answer in state.get("review", []):
        decision = Decision.model_validate(answer)
        report.review.append(decision)
        if decision.action == "edit":
            described = corrected_description(decision, described)
            report.diagnosis = decision.diagnosis or report.diagnosis
            report.description = described.description
            report.findings = _findings(state, described, images)
        report.status = _STATUS_AFTER.get(decision.action, report.status)
    settled = report.status == "signed" or not report.abstained
    answered = is_answered(report.question, report.diagnosis, info.card.unknown_label)
    report.question_answered = answered and settled
    return report


def _rationale(final: DiagnoseResult) -> str:
    """The model's reasons; for which diagnosis, where it wrote another one than the case ends with."""
    if not (final.rationale and final.generated and final.generated_differs):
        return final.rationale
    return f"The model's, for its own answer “{final.generated}”: {final.rationale}"


def save_evidence(folder: Path, sessions: SessionPool, look: Look) -> dict[int, str]:
    """Write the frame of each finding as PNG; frame number → path relative to the case folder."""
    findings = look["described"]["findings"]
    if not findings:
        return {}
    clip = sessions.clip(ClipInput(**look["request"]))
    images = {}
    for number in sorted({finding["frame"] for finding in findings}):
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


def _findings(state: CaseState, described: DescribeResult, images: dict[int, str]) -> list[Finding]:
    own = words_of_model(state["steps"])
    return [
        Finding(
            text=finding.text,
            seconds=finding.seconds,
            frame=finding.frame,
            image=images.get(finding.frame),
            by="model" if finding.text in own else "reviewer",
            rests_on=finding.rests_on,
            typical_of=finding.typical_of,
        )
        for finding in described.findings
    ]


def _facts(state: CaseState, described: DescribeResult) -> VideoFacts:
    """The source, with the frames of the look that the report rests on."""
    frames = {"seconds": described.frames.seconds, "indices": described.frames.indices}
    return VideoFacts.model_validate({**state["facts"], **frames})


def _burned_in(state: CaseState) -> dict[str, Any]:
    """What intake found; a case that was begun before intake looked for writing has a word there."""
    found = state["steps"][0]["detail"]["burned_in_text"]
    return found if isinstance(found, dict) else {}


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


def _provenance(state: CaseState, info: EngineInfo, described: DescribeResult, look: Look) -> dict[str, Any]:
    steps = state["steps"]
    return {
        "weights": info.weights_sha256,
        "video": state["facts"]["sha256"],
        "frames": described.frames.sha256,
        "prompts": {
            f"{n}-{step['name']}": step["hashes"]["prompt"]
            for n, step in enumerate(steps, 1)
            if "prompt" in step["hashes"]
        },
        "knowledge": state["knowledge"],
        "source": info.source,
        "layout": info.layout,
        "licence": info.licence,
        "unknown_label": info.card.unknown_label,
        "calibrated": is_fitted_look(state, look),
        "trained_on": info.card.trained_on,
        "device": info.device,
        "device_reason": info.device_reason,
        "dtype": info.dtype,
        "notes": described.frames.notes,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
