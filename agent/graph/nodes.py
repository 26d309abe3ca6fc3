"""The nodes of the graph. Each reads the state, asks a tool, and writes a step to the trace.

If the process dies before a node's checkpoint, the node runs again. It then reads the model calls that it had
finished from the case's journal.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from videopath.agent.cases.library import CaseLibrary, new_case_id
from videopath.agent.cases.records import RunSettings, Step, VideoFacts
from videopath.agent.cases.trace import TRACE_NAME
from videopath.agent.decision.blank import labels_of_blank, probabilities_of_blank
from videopath.agent.decision.confidence import (
    description_support,
    features,
    supports_by_description,
)
from videopath.agent.decision.fusion import FusedDiagnosis, fuse
from videopath.agent.decision.looks import best_look
from videopath.agent.decision.verdict import BlankAnswers, weigh
from videopath.agent.decision.vocabulary import mark_unknown_terms
from videopath.agent.graph.addresses import addresses_of, going_away
from videopath.agent.graph.closer_look import can_look_closer, closer_request, most_telling
from videopath.agent.graph.review import ask_for_decision
from videopath.agent.graph.revision import revision_update, without_dropped
from videopath.agent.graph.second_opinion import (
    answered_step,
    ask_second_model,
    failed_opinion,
    failed_step,
    opinion_of,
    refuse_other_weights,
)
from videopath.agent.graph.state import CaseInput, CaseState, Json, Look, checked_input
from videopath.agent.graph.steps import CaseRuntime, StepDraft, record_step
from videopath.agent.graph.view import StateView
from videopath.agent.policy import Policy
from videopath.agent.report.builder import build_report, save_evidence
from videopath.agent.report.phrases import (
    choice_in_words,
    diagnosis_in_words,
    label_in_words,
    vote_in_short,
    writing_in_short,
)
from videopath.core.clock import now
from videopath.core.errors import CaseError, EngineError, InputError, ModelError, NotTissueError
from videopath.core.pathology.sites import canonical_site
from videopath.core.privacy.paths import screened_path
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.tools.abilities import abilities_of
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
    with_rule,
)
from videopath.tools.session_pool import LOADING, READING, ClipSession, Recording, SessionPool

if TYPE_CHECKING:
    from videopath.model.card import Card

NO_BLANK_CHECK = "The model was not shown a blank video: it is served, and each question to it is a request."
NO_DESCRIPTION_CHECK = (
    "The diagnosis was not compared with the description alone: this model cannot be asked that."
)
_MAX_VOTED = 8  # diagnoses of the cases' vote that the model scores as well


class Nodes:
    """The nodes' functions, around one engine, one knowledge base and one case library.

    Args:
        sessions: The pool of clips that are open before the engine.
        retriever: The search for similar cases.
        library: Where the cases are kept.
        settings: The settings of a case that brings none of its own.
        second: The pool of the second model; None: no second opinion.
    """

    def __init__(
        self,
        sessions: SessionPool,
        retriever: RetrieveTool,
        library: CaseLibrary,
        settings: RunSettings,
        second: SessionPool | None = None,
    ) -> None:
        self.sessions = sessions
        self.second = second
        self.retriever = retriever
        self.library = library
        self.settings = settings

    @property
    def pools(self) -> list[SessionPool]:
        """The pools of the first and, if there is one, of the second model."""
        return [self.sessions, *([self.second] if self.second else [])]

    def intake(self, state: CaseInput, runtime: CaseRuntime) -> Json:
        """Open and hash the video, sample its frames, fill burned-in writing, and judge the quality of the filled frames.

        The model is not loaded yet.

        Raises:
            InputError: The input is incomplete, the video cannot be read, or the quality gate rejects it.
        """
        from videopath.media.clip import open_source
        from videopath.media.metadata import metadata_of, metadata_sentence
        from videopath.media.quality.gate import assess
        from videopath.media.writing.cropping import writing_of

        state = checked_input(state)
        draft = StepDraft("intake", runtime)
        thread = runtime.execution_info.thread_id if runtime.execution_info else None
        case_id = state.get("case_id") or thread or new_case_id()
        self.library.folder(case_id)  # fail fast on an id that is not a file name
        settings = RunSettings.model_validate(state.get("settings") or self.settings.model_dump(mode="json"))
        second = self._second_pool(
            case_id, settings
        )  # fail fast on a second model that this agent does not have
        draft.activity(READING)
        video = str(screened_path(state["video"]))  # of a caller of the graph: no name of a person is stored
        if self.sessions.refuse:
            self.sessions.refuse(video)
        open_source(Path(video))  # fail fast on an unreadable file
        request = _first_request(video, settings, self.sessions.frames)
        clip = self.sessions.clip(request)
        draft.activity("opening the knowledge base")
        self.retriever.open()  # fail fast on an unusable knowledge base
        draft.activity("looking at the frames")
        quality = assess(clip)
        if quality.verdict == "refused" and not Policy(**settings.policy).accept_any_image:
            raise NotTissueError(" ".join(quality.sentences))
        facts, burned_in = VideoFacts.of(clip), writing_of(clip, request.crop)
        sent_to, metadata = addresses_of(self.sessions, second), metadata_of(video)
        step = draft.done(
            f"{facts.kind} of {facts.width}×{facts.height}, {len(set(facts.indices))} of {facts.total_frames} frames; "
            f"quality {quality.verdict}" + writing_in_short(burned_in) + going_away(sent_to.values()),
            detail={
                "request": request.model_dump(mode="json"),
                "facts": facts.model_dump(mode="json"),
                "quality": quality.model_dump(mode="json"),
                "burned_in_text": burned_in.model_dump(mode="json"),
                "metadata": [field.model_dump(mode="json") for field in metadata],
                "metadata_sentence": metadata_sentence(metadata),
                **({"sent_to": sent_to} if sent_to else {}),
            },
            evidence=[f"frame {index}" for index in facts.indices],
            hashes={"video": facts.sha256},
        )
        update = {
            "case_id": case_id,
            "video": video,
            "created": draft.started,
            "site": canonical_site(site) if (site := state.get("site")) else None,
            "question": state.get("question"),
            "settings": settings.model_dump(mode="json"),
            "facts": facts.model_dump(mode="json"),
            "quality": quality.model_dump(mode="json"),
            "request": request.model_dump(mode="json"),
        }
        return self._record(case_id, 0, step, update)

    def describe(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Describe what the clip shows, each finding with its moment."""
        case, draft = StateView(state), self._start_model_step("describe", runtime)
        tool = DescribeTool(sessions=self._recording(case, draft))
        arguments = {"site": case.site, "max_new_tokens": case.policy.description_tokens}
        result: DescribeResult = tool.invoke({**case.request_json, **arguments})
        step = draft.done(
            _shortened(result.description),
            detail={"request": case.request_json, **arguments, "result": result.model_dump(mode="json")},
            evidence=[f"frame {finding.frame}" for finding in result.findings if finding.is_located],
            hashes={"prompt": result.call.prompt_sha256, "frames": result.frames.sha256},
        )
        engine = self.sessions.info.model_dump(mode="json")
        return self._finish(state, step, described=result.model_dump(mode="json"), engine=engine)

    def diagnose_blind(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Diagnose before the model is shown any similar case."""
        draft = self._start_model_step("diagnose_blind", runtime)
        result, step = self._diagnose(StateView(state), draft, [], samples=0)
        return self._finish(state, step, blind=result.model_dump(mode="json"))

    def retrieve(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Search for similar cases. Those of the same video, patient, group or picture are excluded."""
        case, draft = StateView(state), StepDraft("retrieve", runtime)
        policy, description = case.policy, case.described.description
        count = policy.neighbours
        arguments = {
            "description": description,
            "site": case.site,
            "exclude_sources": [case.video, case.facts.sha256, *case.settings.exclude],
            "clip": case.request_json,
            "also_shown": _earlier_requests(case),
        }
        draft.activity("searching similar cases")
        result = RetrieveResult(query=description, neighbours=[])
        if count:
            tool = RetrieveTool(
                knowledge=self.retriever.open(),
                sessions=self._recording(case, draft),
                rules=policy.context,
            )
            dropped = [record for decision in case.decisions for record in decision.drop]
            arguments |= {"drop": dropped} if dropped else {}
            result = without_dropped(tool.invoke({**arguments, "k": count}), case.decisions)
            if "image" in result.views:  # the frames were encoded, by the model's own tower or beside it
                draft.model, draft.device = self.sessions.info.name, self.sessions.info.device
        step = draft.done(
            f"{len(result.kept)} of {len(result.neighbours)} similar cases fit"
            + (f"; {vote_in_short(result.vote)}" if result.vote else "")
            + (f"; {result.excluded_count} may not be used" if result.excluded_count else ""),
            detail={**arguments, "k": count, "result": result.model_dump(mode="json")},
            evidence=[neighbour.id for neighbour in result.kept],
            hashes={"index": result.index_sha256} if result.index_sha256 else {},
        )
        retrieved = result.model_dump(mode="json")
        return self._finish(state, step, retrieved=retrieved, knowledge=self.retriever.provenance())

    def diagnose(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Diagnose again with the similar cases as evidence."""
        case, draft = StateView(state), self._start_model_step("diagnose", runtime)
        retrieved = case.retrieved
        voted = list(retrieved.vote.shares)[:_MAX_VOTED] if retrieved.vote else []
        result, step = self._diagnose(case, draft, retrieved.kept, case.policy.samples, voted)
        return self._finish(state, step, final=result.model_dump(mode="json"))

    def second_opinion(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Let a second model diagnose the same frames blind. If it fails, the case goes on without its opinion."""
        case, draft = StateView(state), StepDraft("second_opinion", runtime)
        pool = self._second_pool(case.case_id, case.settings)
        if pool is None:
            raise CaseError(f"Case {case.case_id} asks for no second opinion.")
        label = _fused(case, self.sessions.info.card).final.label
        draft.model = pool.name
        try:
            if not pool.loaded:
                draft.activity(LOADING)
            draft.model, draft.device = pool.info.name, pool.info.device
            refuse_other_weights(case, pool.info)
            recording = self._recording_of(pool, case, draft)
            answer = ask_second_model(case, recording, lambda: self.retriever.open().info().diagnoses)
        except (EngineError, InputError, ModelError) as error:
            opinion = failed_opinion(pool, str(error))
            step = failed_step(case, draft, opinion)
        else:
            opinion = opinion_of(answer, pool.info, label, case.unknown_label)
            step = answered_step(case, draft, answer, opinion, label)
        return self._finish(state, step, second=opinion.model_dump(mode="json"))

    def verify(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Weigh what supports the diagnosis; give the reasons if it is not enough."""
        case, draft = StateView(state), self._start_model_step("verify", runtime)
        recording = self._recording(case, draft)
        card = recording.info.card
        session = recording.open(case.request)
        described, moments = _with_moments(case, session)
        supported = description_support(
            session, case.site, case.question, described.description, case.final.differential
        )
        retrieved, second, fused = case.retrieved, case.second, _fused(case, card)
        values = features(
            fused.final,
            case.blind,
            retrieved.neighbours,
            supported.get(fused.final.label),
            retrieved.vote,
        )
        if second is not None and second.gives_diagnosis:
            values["contradicted"] = float(second.contradicts)
        blank = self._blank(case, draft, len(described.frames.indices))
        verdict = weigh(
            fused,
            retrieved,
            values,
            case.site,
            card,
            case.policy,
            blank,
            second,
        )
        look = Look(
            request=state["request"],
            described=described.model_dump(mode="json"),
            blind=state["blind"],
            retrieved=state["retrieved"],
            final=fused.final.model_dump(mode="json"),
            features=values,
            confidence=verdict.confidence,
            reasons=verdict.reasons,
            vouchers=[voucher.model_dump(mode="json") for voucher in verdict.vouchers],
            calibrated=verdict.calibrated,
            closer=verdict.closer_may_help and can_look_closer(case.facts, case.request),
            revision=case.revisions,
            corrected=described.description != case.blind_description,
        )
        if second is not None:
            look["second"] = second.model_dump(mode="json")
        objection = f"; the second opinion is {second.label}" if second and second.contradicts else ""
        step = draft.done(
            f"{label_in_words(fused.final)} ({fused.by}): {verdict}{objection}",
            detail={
                "result": fused.final.model_dump(mode="json"),
                "basis": fused.basis,
                "vouchers": [voucher.model_dump(mode="json") for voucher in verdict.vouchers],
                "description_support": supported,
                "features": values,
                "confidence": verdict.confidence if verdict.calibrated else None,
                "threshold": verdict.threshold,
                "reasons": verdict.reasons,
                **moments,
                **_not_done(case.policy, session),
            },
        )
        return self._finish(state, step, looks=[look])

    def look_closer(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Choose the clip of a closer look, around the most telling moment."""
        case, draft = StateView(state), StepDraft("look_closer", runtime)
        request, facts, described = case.request, case.facts, case.described
        finding = most_telling(described.findings)
        moment = finding.seconds if finding else described.frames.seconds[len(described.frames.seconds) // 2]
        draft.activity(READING)
        at_moment = {} if facts.kind == "image" else {"start": moment, "end": None}
        view = self.sessions.clip(request.model_copy(update={"frames": 1, **at_moment}))
        closer = closer_request(facts, request, moment, view)
        step = draft.done(
            _closer_look_in_words(closer),
            detail={
                "moment": moment,
                "finding": finding.text if finding else None,
                "request": closer.model_dump(mode="json"),
            },
            evidence=[f"frame {finding.frame}"] if finding else [],
        )
        return self._finish(state, step, request=closer.model_dump(mode="json"))

    def review(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Ask a person to accept, edit, revise or reject. LangGraph runs it again from its start with the answer."""
        case = StateView(state)
        look = best_look(case.looks)
        decision = ask_for_decision(case)
        draft = StepDraft("review", runtime)
        decision.decided = decision.decided or now()
        record = decision.model_dump(mode="json")
        step = draft.done(
            f"{decision.action} by {decision.reviewer or 'an unnamed reviewer'}",
            detail={"decision": record, "changes": decision.changes, "look": case.looks.index(look)},
        )
        crop = case.settings.crop
        next_look = revision_update(decision, look, crop) if decision.action == "revise" else {}
        return self._finish(state, step, review=[record], **next_look)

    def report(self, state: CaseState, runtime: CaseRuntime) -> Json:
        """Write the report with its evidence frames."""
        draft = StepDraft("report", runtime)
        draft.activity("writing the report")
        case = StateView(state)
        look = best_look(case.looks)
        images = save_evidence(self.library.folder(case.case_id), self.sessions, look)
        report = build_report(case, images)
        step = draft.done(
            f"{diagnosis_in_words(report)}: {report.status}",
            detail={"look": case.looks.index(look), "looks": len(case.looks)},
            evidence=sorted(set(images.values())),
        )
        update = self._finish(state, step)
        report.steps.append(step)
        self.library.save(report)
        return update

    def _second_pool(self, case_id: str, settings: RunSettings) -> SessionPool | None:
        """Return the pool of the case's second model; None if the case asks for no second opinion.

        Raises:
            CaseError: This agent has no second model. None is loaded by the name in the settings of a case, which others
                may have written.
        """
        asked = settings.second_opinion
        if asked is None:
            return None
        if self.second is None:
            raise CaseError(
                f"Case {case_id} asks for a second opinion of {asked.model}: load the agent with that model as "
                "second_opinion."
            )
        return self.second

    def _blank(self, case: StateView, draft: StepDraft, frames: int) -> BlankAnswers | None:
        """Return the model's answers to a blank video of as many frames, with the site and question of the case.

        None for a served model, which is not shown a blank video, since each question to it is a request.
        """
        if not abilities_of(self.sessions.info).answers_often:
            return None
        arguments = case.site, case.question, frames

        def labels() -> set[str]:
            draft.activity("showing the model a blank video")
            return labels_of_blank(self.sessions, *arguments, case.policy)

        return BlankAnswers(
            labels, lambda candidates: probabilities_of_blank(self.sessions, *arguments, candidates)
        )

    def _diagnose(
        self,
        case: StateView,
        draft: StepDraft,
        kept: list[Neighbour],
        samples: int,
        candidates: Sequence[str] = (),
    ) -> tuple[DiagnoseResult, Step]:
        request = case.request_json
        arguments = {
            "description": case.described.description,
            "site": case.site,
            "question": case.question,
            "neighbours": [neighbour.model_dump(mode="json") for neighbour in kept],
            "samples": samples,
            **({"candidates": list(candidates)} if candidates else {}),
            "max_new_tokens": case.policy.answer_tokens,
        }
        tool = DiagnoseTool(sessions=self._recording(case, draft))
        result = mark_unknown_terms(
            tool.invoke({**request, **arguments}),
            self.sessions.info.card,
            lambda: self.retriever.open().info().diagnoses,
        )
        step = draft.done(
            choice_in_words(result),
            detail={"request": request, **arguments, "result": result.model_dump(mode="json")},
            evidence=[neighbour.id for neighbour in kept],
            hashes={"prompt": result.call.prompt_sha256},
        )
        return result, step

    def _recording(self, case: StateView, draft: StepDraft) -> Recording:
        """Return the pool with the journal of the case; reject a model that the case was not started with."""
        info, original = self.sessions.info, case.engine
        if original and info.weights_sha256 != original.weights_sha256:
            raise CaseError(
                f"Case {case.case_id} was started with {original.name} "
                f"({original.weights_sha256[:12]}…), not with {info.name} ({info.weights_sha256[:12]}…): "
                "resume it with that model, or start a new case."
            )
        return self._recording_of(self.sessions, case, draft)

    def _recording_of(self, pool: SessionPool, case: StateView, draft: StepDraft) -> Recording:
        journal = Journal(self.library.folder(case.case_id) / JOURNAL_NAME)
        return Recording(pool, journal, case.facts.sha256, draft.token, draft.activity)

    def _start_model_step(self, name: str, runtime: CaseRuntime) -> StepDraft:
        """Begin a step that asks the model. It is announced before the model is loaded, which may take a while."""
        draft = StepDraft(name, runtime)
        if not self.sessions.loaded:
            draft.activity(LOADING)
        draft.model, draft.device = self.sessions.info.name, self.sessions.info.device
        return draft

    def _finish(self, state: CaseState, step: Step, **update: Any) -> Json:
        return self._record(state["case_id"], len(state["steps"]), step, update)

    def _record(self, case_id: str, position: int, step: Step, update: Json) -> Json:
        """Write the step to the trace and return the node's update with it."""
        self.library.refuse_lost(case_id)
        step = record_step(self.library.folder(case_id) / TRACE_NAME, position, step)
        return {**update, "steps": [step.model_dump(mode="json")]}


def _fused(case: StateView, card: Card) -> FusedDiagnosis:
    """Return the model's diagnosis of the present look, fused with the similar cases' vote."""
    retrieved = case.retrieved
    return fuse(case.final, retrieved.vote, case.site, card, retrieved.calibration)


def _not_done(policy: Policy, session: ClipSession) -> Json:
    """Return what was left out for this model, for the step's detail; empty if nothing was."""
    sentences = [NO_BLANK_CHECK] if policy.show_blank and not session.abilities.answers_often else []
    sentences += [] if supports_by_description(session) else [NO_DESCRIPTION_CHECK]
    return {"not_done": sentences} if sentences else {}


def _with_moments(case: StateView, session: ClipSession) -> tuple[DescribeResult, Json]:
    """Find the moments of a reviewer's findings; return the description with them, and the step's detail on it."""
    described, own = case.described, case.findings_of_model
    unplaced = [
        f.text for f in described.findings if f.text not in own or not (f.contrast or f.moment == "named")
    ]
    if not (case.revisions and unplaced):
        return described, {}
    question = session.prompts.finding(PromptFacts(site=case.site))
    placed = {f.text: f for f in located(session, question, unplaced, described.frames)}
    findings = [placed.get(finding.text, finding) for finding in described.findings]
    moments = {finding.text: finding.seconds for finding in placed.values()}
    return described.model_copy(update={"findings": findings}), {"moments_of_reviewers_findings": moments}


def _earlier_requests(case: StateView) -> list[Json]:
    """Return the clips of earlier looks: a record that shows one of them is a copy of the case's video."""
    requests = [with_rule(look.data["request"]) for look in case.looks]
    return [r for number, r in enumerate(requests) if r not in (case.request_json, *requests[:number])]


def _first_request(video: str, settings: RunSettings, frames: int) -> ClipInput:
    fields = {
        "video": video,
        "frames": settings.frames or frames,
        "start": settings.start,
        "end": settings.end,
        "sampling": settings.sampling,
        "crop": settings.crop,
        "writing": settings.writing,
        "masks": settings.masks,
    }
    try:
        return ClipInput.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "segment"
        raise InputError(f"The clip cannot be cut like this ({field}): {first['msg']}.") from error


def _closer_look_in_words(request: ClipInput) -> str:
    segment = (
        f"{request.start:.1f}–{request.end:.1f} s"
        if request.start is not None and request.end is not None
        else "the image"
    )
    crop = ", ".join(f"{side:.2f}" for side in request.crop) if request.crop else "whole frame"
    return f"closer look at {segment}, crop {crop}"


def _shortened(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
