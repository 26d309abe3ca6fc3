"""The nodes of the graph. Each reads the state, asks a tool, and leaves a step in the trace.

A node may run twice when the process dies before its checkpoint; the model calls that it had finished are then read
from the case's journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videopath.agent.cases.library import CaseLibrary, new_case_id, now
from videopath.agent.cases.records import RunSettings, Step, VideoFacts
from videopath.agent.cases.trace import TRACE_NAME
from videopath.agent.decision.blank import chances_of_blank, labels_of_blank
from videopath.agent.decision.confidence import description_support, features
from videopath.agent.decision.fusion import fuse
from videopath.agent.decision.looks import best_look
from videopath.agent.decision.verdict import Blank, weigh
from videopath.agent.decision.vocabulary import with_known_terms
from videopath.agent.graph.closer_look import can_look_closer, closer_request, most_telling
from videopath.agent.graph.review import asked_decision
from videopath.agent.graph.revision import (
    decisions_of,
    described_for_blind,
    revised,
    without_dropped,
    words_of_model,
)
from videopath.agent.graph.routing import is_revised, policy_of, revisions
from videopath.agent.graph.state import CaseInput, CaseState, Json, Look, checked_input
from videopath.agent.graph.steps import CaseRuntime, StepDraft, record_step
from videopath.agent.policy import Policy
from videopath.agent.report.builder import engine_of, report_of, save_evidence
from videopath.agent.report.phrases import choice_in_words, diagnosis_in_words, label_in_words, vote_in_short
from videopath.core.errors import CaseError, InputError
from videopath.core.pathology.sites import canonical_site
from videopath.model.prompts.questions import describe_question
from videopath.tools.describe import DescribeTool, located
from videopath.tools.diagnose import DiagnoseTool
from videopath.tools.journal import JOURNAL_NAME, Journal
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.schemas import (
    ClipInput,
    DescribeResult,
    DiagnoseResult,
    Neighbour,
    RetrieveResult,
)
from videopath.tools.session_pool import LOADING, READING, ClipSession, Recording, SessionPool

_VOTED = 8  # diagnoses of the cases' vote that the model weighs as well, at most


class Nodes:
    """What the graph is made of, around one engine, one knowledge base and one case library."""

    def __init__(
        self, sessions: SessionPool, retriever: RetrieveTool, library: CaseLibrary, settings: RunSettings
    ) -> None:
        self.sessions = sessions
        self.retriever = retriever
        self.library = library
        self.settings = settings

    def intake(self, state: CaseInput, runtime: CaseRuntime) -> Json:
        """Open and hash the video, sample frames, judge quality, find writing; the model is not needed for it yet."""
        from videopath.media.clip import open_source
        from videopath.media.quality.burned_in import find_writing
        from videopath.media.quality.gate import assess

        state = checked_input(state)
        draft = StepDraft("intake", runtime)
        thread = runtime.execution_info.thread_id if runtime.execution_info else None
        case_id = state.get("case_id") or thread or new_case_id()
        self.library.folder(case_id)  # an id that is no name is told first
        settings = RunSettings.model_validate(state.get("settings") or self.settings.model_dump(mode="json"))
        draft.activity(READING)
        if self.sessions.refuse:
            self.sessions.refuse(state["video"])
        open_source(Path(state["video"]))  # an unreadable file is told before anything is loaded for it
        request = _first_request(state["video"], settings, self.sessions.frames)
        clip = self.sessions.clip(request)
        draft.activity("opening the knowledge base")
        self.retriever.open()  # an unusable knowledge base is told before the model's work, not after it
        draft.activity("looking at the frames")
        quality = assess(clip)
        if quality.verdict == "refused" and not Policy(**settings.policy).accept_any_image:
            raise InputError(" ".join(quality.sentences))
        facts, burned_in = VideoFacts.of(clip), find_writing(clip)
        step = draft.done(
            f"{facts.kind} of {facts.width}×{facts.height}, {len(set(facts.indices))} of {facts.total_frames} frames; "
            f"quality {quality.verdict}" + ("; writing is burned in" if burned_in.writings else ""),
            detail={
                "request": request.model_dump(mode="json"),
                "facts": facts.model_dump(mode="json"),
                "quality": quality.model_dump(mode="json"),
                "burned_in_text": burned_in.model_dump(mode="json"),
            },
            evidence=[f"frame {index}" for index in facts.indices],
            hashes={"video": facts.sha256},
        )
        update = {
            "case_id": case_id,
            "created": draft.started,
            "site": canonical_site(site) if (site := state.get("site")) else None,
            "question": state.get("question"),
            "settings": settings.model_dump(mode="json"),
            "facts": facts.model_dump(mode="json"),
            "quality": quality.model_dump(mode="json"),
            "request": request.model_dump(mode="json"),
        }
        return self._finished(case_id, 0, step, update)

    def describe(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Say what the clip shows, each finding with its moment."""
        draft = self._draft("describe", runtime)
        tool = DescribeTool(sessions=self._recording(state, draft))
        asked = {"site": state["site"], "max_new_tokens": policy_of(state).description_tokens}
        result: DescribeResult = tool.invoke({**state["request"], **asked})
        step = draft.done(
            _shortened(result.description),
            detail={"request": state["request"], **asked, "result": result.model_dump(mode="json")},
            evidence=[f"frame {finding.frame}" for finding in result.findings],
            hashes={"prompt": result.call.prompt_sha256, "frames": result.frames.sha256},
        )
        engine = self.sessions.info.model_dump(mode="json")
        return self._next(state, step, described=result.model_dump(mode="json"), engine=engine)

    def diagnose_blind(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Diagnose before any similar case is seen."""
        draft = self._draft("diagnose_blind", runtime)
        result, step = self._diagnosed(state, draft, [], samples=0)
        return self._next(state, step, blind=result.model_dump(mode="json"))

    def retrieve(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Look for similar cases; those of the same video, patient, group or picture never count."""
        draft = StepDraft("retrieve", runtime)
        policy, description = policy_of(state), state["described"]["description"]
        count = policy.neighbours
        asked = {
            "description": description,
            "site": state["site"],
            "exclude_sources": [
                state["video"],
                state["facts"]["sha256"],
                *state["settings"].get("exclude", []),
            ],
            "clip": state["request"],
            "also_shown": _looked_at(state),
        }
        draft.activity("searching similar cases")
        result = RetrieveResult(query=description, neighbours=[])
        if count:
            tool = RetrieveTool(
                knowledge=self.retriever.open(),
                sessions=self._recording(state, draft),
                rules=policy.context,
            )
            decisions = decisions_of(state.get("review", []))
            dropped = [record for decision in decisions for record in decision.drop]
            asked |= {"drop": dropped} if dropped else {}
            result = without_dropped(tool.invoke({**asked, "k": count}), decisions)
            if "image" in result.views:  # by the model's own tower, or beside it
                draft.model, draft.device = self.sessions.info.name, self.sessions.info.device
        step = draft.done(
            f"{len(result.kept)} of {len(result.neighbours)} similar cases fit"
            + (f"; {vote_in_short(result.vote)}" if result.vote else "")
            + (f"; {result.excluded_count} may not be used" if result.excluded_count else ""),
            detail={**asked, "k": count, "result": result.model_dump(mode="json")},
            evidence=[neighbour.id for neighbour in result.kept],
            hashes={"index": result.index_sha256} if result.index_sha256 else {},
        )
        retrieved = result.model_dump(mode="json")
        return self._next(state, step, retrieved=retrieved, knowledge=self.retriever.provenance())

    def diagnose(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Diagnose again with the similar cases as evidence."""
        draft = self._draft("diagnose", runtime)
        retrieved = RetrieveResult.model_validate(state["retrieved"])
        voted = list(retrieved.vote.shares)[:_VOTED] if retrieved.vote else []
        result, step = self._diagnosed(state, draft, retrieved.kept, policy_of(state).samples, voted)
        return self._next(state, step, final=result.model_dump(mode="json"))

    def verify(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Weigh what speaks for the diagnosis; say why where it is not enough."""
        draft = self._draft("verify", runtime)
        recording = self._recording(state, draft)
        card = recording.info.card
        final = DiagnoseResult.model_validate(state["final"])
        session = recording.open(ClipInput(**state["request"]))
        described, moments = _with_moments(state, session)
        supported = description_support(
            session, state["site"], state["question"], described.description, final.differential
        )
        retrieved = RetrieveResult.model_validate(state["retrieved"])
        fused = fuse(final, retrieved.vote, state["site"], card, retrieved.calibration)
        values = features(
            fused.final,
            DiagnoseResult.model_validate(state["blind"]),
            retrieved.neighbours,
            supported.get(fused.final.label),
            retrieved.vote,
        )
        policy = policy_of(state)
        weighed = weigh(
            fused,
            retrieved,
            values,
            state["site"],
            card,
            policy,
            self._blank(state, draft, len(described.frames.indices)),
        )
        look = Look(
            request=state["request"],
            described=described.model_dump(mode="json"),
            blind=state["blind"],
            retrieved=state["retrieved"],
            final=fused.final.model_dump(mode="json"),
            features=values,
            confidence=weighed.sure,
            reasons=weighed.reasons,
            vouchers=[voucher.model_dump(mode="json") for voucher in weighed.vouchers],
            calibrated=weighed.calibrated,
            closer=weighed.closer_may_help
            and can_look_closer(VideoFacts(**state["facts"]), ClipInput(**state["request"])),
            revision=revisions(state),
            corrected=described.description != described_for_blind(state["steps"]),
        )
        step = draft.done(
            f"{label_in_words(fused.final)} ({fused.by}): {weighed}",
            detail={
                "result": fused.final.model_dump(mode="json"),
                "basis": fused.basis,
                "vouchers": [voucher.model_dump(mode="json") for voucher in weighed.vouchers],
                "description_support": supported,
                "features": values,
                "confidence": weighed.sure if weighed.calibrated else None,
                "threshold": weighed.threshold,
                "reasons": weighed.reasons,
                **moments,
            },
        )
        return self._next(state, step, looks=[look])

    def look_closer(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Choose a denser, cropped-in clip around the most telling moment."""
        draft = StepDraft("look_closer", runtime)
        request, facts = ClipInput(**state["request"]), VideoFacts(**state["facts"])
        described = DescribeResult.model_validate(state["described"])
        finding = most_telling(described.findings)
        moment = finding.seconds if finding else described.frames.seconds[len(described.frames.seconds) // 2]
        draft.activity(READING)
        at_moment = {} if facts.kind == "image" else {"start": moment, "end": None}
        view = self.sessions.clip(request.model_copy(update={"frames": 1, **at_moment}))
        closer = closer_request(facts, request, moment, view)
        step = draft.done(
            _where(closer),
            detail={
                "moment": moment,
                "finding": finding.text if finding else None,
                "request": closer.model_dump(mode="json"),
            },
            evidence=[f"frame {finding.frame}"] if finding else [],
        )
        return self._next(state, step, request=closer.model_dump(mode="json"))

    def review(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Ask a person to accept, edit, revise or reject. Runs again from its first line with the answer."""
        look = best_look(state["looks"])
        decision = asked_decision(state)
        draft = StepDraft("review", runtime)
        decision.decided = decision.decided or now()
        told = decision.model_dump(mode="json")
        step = draft.done(
            f"{decision.action} by {decision.reviewer or 'an unnamed reviewer'}",
            detail={"decision": told, "changes": decision.changes, "look": state["looks"].index(look)},
        )
        goes_on = revised(decision, look) if decision.action == "revise" else {}
        return self._next(state, step, review=[told], **goes_on)

    def report(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Write the report with its evidence frames."""
        draft = StepDraft("report", runtime)
        draft.activity("writing the report")
        folder = self.library.folder(state["case_id"])
        look = best_look(state["looks"])
        images = save_evidence(folder, self.sessions, look)
        draft_report = report_of(state, images)
        step = draft.done(
            f"{diagnosis_in_words(draft_report)}: {draft_report.status}",
            detail={"look": state["looks"].index(look), "looks": len(state["looks"])},
            evidence=sorted(set(images.values())),
        )
        update = self._next(state, step)
        draft_report.steps.append(step)
        self.library.save(draft_report)
        return update

    def _blank(self, state: CaseState, draft: StepDraft, frames: int) -> Blank:
        """What the model says of a blank video of as many frames, asked as this case is."""
        asked = state["site"], state["question"], frames

        def said() -> set[str]:
            draft.activity("showing the model a blank video")
            return labels_of_blank(self.sessions, *asked, policy_of(state))

        return Blank(said, lambda labels: chances_of_blank(self.sessions, *asked, labels))

    def _diagnosed(
        self,
        state: CaseState,
        draft: StepDraft,
        kept: list[Neighbour],
        samples: int,
        candidates: Sequence[str] = (),
    ) -> tuple[DiagnoseResult, Step]:
        asked = {
            "description": state["described"]["description"],
            "site": state["site"],
            "question": state["question"],
            "neighbours": [neighbour.model_dump(mode="json") for neighbour in kept],
            "samples": samples,
            **({"candidates": list(candidates)} if candidates else {}),
            "max_new_tokens": policy_of(state).answer_tokens,
        }
        tool = DiagnoseTool(sessions=self._recording(state, draft))
        result = with_known_terms(
            tool.invoke({**state["request"], **asked}),
            self.sessions.info.card,
            lambda: self.retriever.open().info().diagnoses,
        )
        step = draft.done(
            choice_in_words(result),
            detail={"request": state["request"], **asked, "result": result.model_dump(mode="json")},
            evidence=[neighbour.id for neighbour in kept],
            hashes={"prompt": result.call.prompt_sha256},
        )
        return result, step

    def _recording(self, state: CaseState, draft: StepDraft) -> Recording:
        """The pool as this case sees it; refuses another model than the case was begun with."""
        info, begun_with = self.sessions.info, engine_of(state)
        if begun_with and info.weights_sha256 != begun_with.weights_sha256:
            raise CaseError(
                f"Case {state['case_id']} was begun with {begun_with.name} "
                f"({begun_with.weights_sha256[:12]}…), not with {info.name} ({info.weights_sha256[:12]}…): "
                "resume it with that model or begin a new case."
            )
        journal = Journal(self.library.folder(state["case_id"]) / JOURNAL_NAME)
        return Recording(self.sessions, journal, state["facts"]["sha256"], draft.token, draft.activity)

    def _draft(self, name: str, runtime: CaseRuntime) -> StepDraft:
        """A step that asks the model; told before the model is loaded, which may take a while."""
        draft = StepDraft(name, runtime)
        if not self.sessions.loaded:
            draft.activity(LOADING)
        draft.model, draft.device = self.sessions.info.name, self.sessions.info.device
        return draft

    def _next(self, state: CaseState, step: Step, **update: Any) -> Json:
        return self._finished(state["case_id"], len(state["steps"]), step, update)

    def _finished(self, case_id: str, position: int, step: Step, update: Json) -> Json:
        """The node's update, with its step in the trace."""
        record_step(self.library.folder(case_id) / TRACE_NAME, position, step)
        return {**update, "steps": [step.model_dump(mode="json")]}


def _with_moments(state: CaseState, session: ClipSession) -> tuple[DescribeResult, Json]:
    """The description with the moments of a reviewer's findings, and what of it goes into the step's detail."""
    described, own = DescribeResult.model_validate(state["described"]), words_of_model(state["steps"])
    unknown = (f.text for f in described.findings if f.text not in own or not f.contrast)
    added = list(unknown) if is_revised(state) else []
    if not added:
        return described, {}
    found = {f.text: f for f in located(session, describe_question(state["site"]), added, described.frames)}
    findings = [found.get(finding.text, finding) for finding in described.findings]
    moments = {finding.text: finding.seconds for finding in found.values()}
    return described.model_copy(update={"findings": findings}), {"moments_of_reviewers_findings": moments}


def _looked_at(state: CaseState) -> list[Json]:
    """The clips of earlier looks: a copy of the video that shows one of them is a copy for the whole case."""
    requests = [look["request"] for look in state.get("looks", [])]
    return [r for number, r in enumerate(requests) if r not in (state["request"], *requests[:number])]


def _first_request(video: str, settings: RunSettings, frames: int) -> ClipInput:
    wanted = {
        "video": video,
        "frames": settings.frames or frames,
        "start": settings.start,
        "end": settings.end,
        "sampling": settings.sampling,
    }
    try:
        return ClipInput.model_validate(wanted)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "segment"
        raise InputError(f"The clip cannot be cut like this ({where}): {first['msg']}.") from error


def _where(request: ClipInput) -> str:
    segment = (
        f"{request.start:.1f}–{request.end:.1f} s"
        if request.start is not None and request.end is not None
        else "the image"
    )
    crop = ", ".join(f"{side:.2f}" for side in request.crop) if request.crop else "whole frame"
    return f"closer look at {segment}, crop {crop}"


def _shortened(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
