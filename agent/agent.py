"""The diagnostic agent: starts, streams, reviews and resumes cases."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from langgraph.graph import START
from langgraph.types import Command, Interrupt
from pydantic import TypeAdapter, ValidationError

from videopath.agent.cases.library import INPUTS_NAME, CaseLibrary, new_case_id
from videopath.agent.cases.records import CaseReport, Decision, FollowUp, RunSettings, Step
from videopath.agent.cases.request import CaseRequest, checked_question
from videopath.agent.cases.signatures.signing import decision_not_kept
from videopath.agent.cases.storage.store import LostCaseError
from videopath.agent.cases.team.queue import CaseQueue
from videopath.agent.cases.unfinished import UNFINISHED
from videopath.agent.checkpoints import Checkpoints, checkpoints_of, open_checkpoints
from videopath.agent.decision.looks import best_look, settled_look
from videopath.agent.follow_up import ask_about, refuse_other_model
from videopath.agent.graph.builder import CaseGraph, build_graph
from videopath.agent.graph.nodes import Nodes
from videopath.agent.graph.revision import checked_decision, read_decision
from videopath.agent.graph.state import CaseInput, CaseState, CheckpointMarks
from videopath.agent.graph.steps import OnProgress, RunContext
from videopath.agent.graph.view import StateView
from videopath.agent.loading import load_nodes
from videopath.agent.policy import Policy
from videopath.agent.report.builder import build_report, save_evidence
from videopath.core.choices import REVIEW_MODES, WRITING_RULES, ReviewMode, WritingRule
from videopath.core.errors import CaseError, InputError, VideoPathError
from videopath.core.jsonl import parse_json
from videopath.core.telemetry import Work, spanned
from videopath.model.inference.spec import NANO, EngineSpec, ModelSource
from videopath.tools.journal import JOURNAL_NAME
from videopath.tools.session_pool import Recording, SessionPool

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from videopath.agent.loading import EngineLoader
    from videopath.agent.many.results import ResultRow
    from videopath.knowledge import KnowledgeBase
    from videopath.model.inference.engine import Engine, EngineInfo

_log = logging.getLogger(__name__)

_STATE: TypeAdapter[CaseState] = TypeAdapter(CaseState)
_MARKS: TypeAdapter[CheckpointMarks] = TypeAdapter(CheckpointMarks)
_DAMAGE = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError, EOFError, RecursionError)
"""What LangGraph and msgpack raise for damaged checkpoints; a ``ValidationError`` is a ``ValueError``."""


class DiagnosticAgent:
    """The agent: from a video to a diagnosis with its reasoning trace.

    One agent may work on many cases, one after the other or in several threads. The state of a case is in the case
    library and its checkpoints, not in the agent. Use the agent in a ``with`` block, or call :meth:`close`.
    """

    def __init__(self, nodes: Nodes, checkpoints: Checkpoints) -> None:
        self._nodes = nodes
        self._checkpoints = checkpoints
        self._closed = False
        self.graph: CaseGraph = build_graph(nodes, checkpoints.saver)

    @classmethod
    def load(
        cls,
        model: ModelSource | Engine = NANO,
        knowledge: str | Path | KnowledgeBase | None = None,
        review: ReviewMode = "never",
        *,
        policy: Policy | None = None,
        base: str | Path | None = None,
        second_opinion: ModelSource | Engine | None = None,
        frames: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        accept_licence: bool = False,
        accept_uncalibrated: bool = False,
        writing: WritingRule = "mask-all",
        home: str | Path | None = None,
        loader: EngineLoader | None = None,
        library: CaseLibrary | None = None,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
    ) -> DiagnosticAgent:
        """Return an agent with a model and a knowledge base, which the first case that needs them loads.

        Args:
            model: "nano" (bundled), a checkpoint folder, a hub id, a spec, or a loaded engine.
            knowledge: A folder or a knowledge base; default: the bundled starter.
            review: When a person is asked: "never", "uncertain" or "always". With "never" the policy decides.
            policy: How careful the agent is; default: ``Policy()``.
            base: The checkpoint that a LoRA or a projector belongs to; default: the folder that the adapter names.
            second_opinion: Another model, named as ``model`` is. It diagnoses the same frames blind; another diagnosis
                lowers the confidence, or brings a closer look or a person.
            frames: Frames per clip; default: the number in the model's card.
            device: "cpu", "cuda", "cuda:1" or "mps"; default: the fastest one here. It holds for both models, unless the
                spec of the second one names its own.
            dtype: "float32", "float16" or "bfloat16"; default: the best one for the device. As for ``device``.
            accept_licence: Whether you accept the licence of weights from the hub.
            accept_uncalibrated: Give out answers of a model whose confidence was never fitted. Otherwise the agent
                abstains on them.
            writing: Which burned-in writing is filled in cases that do not say it themselves: "mask-all",
                "mask-personal" (what may name a person, and codes), or "keep" for none.
            home: Folder of the case library; default: that of the settings.
            loader: Loads the models that are named, so that several agents can share them; default: ``load_engine``.
            library: A case library, in place of ``home``.
            checkpointer: A synchronous checkpointer of LangGraph that your platform already has. It is not closed with the
                agent. Without one, the state of unfinished cases is kept in the library's database.

        Raises:
            InputError: ``review`` or ``writing`` is unknown, ``base`` is given with a loaded engine, or both ``home`` and
                ``library`` are given.
        """
        if home is not None and library is not None:
            raise InputError("Give the home folder or a library, not both: a library has its own folder.")
        if writing not in WRITING_RULES:
            raise InputError(f"writing={writing!r} is not known; use one of: {', '.join(WRITING_RULES)}.")
        if review not in REVIEW_MODES:
            raise InputError(f"review={review!r} is not known; use one of: {', '.join(REVIEW_MODES)}.")
        policy = policy or Policy()
        if review != "never":
            policy = policy.model_copy(update={"review": review})
        if accept_uncalibrated:
            policy = policy.model_copy(update={"accept_uncalibrated": True})
        source, engine = (
            (model, None) if isinstance(model, str | Path | EngineSpec) else (model.info.source, model)
        )
        spec = EngineSpec.of(source).overridden(
            base=base, device=device, dtype=dtype, accept_licence=accept_licence
        )
        if isinstance(second_opinion, str | Path | EngineSpec):
            own = EngineSpec.of(second_opinion)
            second_opinion = own.overridden(
                device=own.device or spec.device,
                dtype=own.dtype or spec.dtype,
                accept_licence=spec.accept_licence,
            )
        nodes = load_nodes(
            spec,
            knowledge,
            policy,
            engine=engine,
            second_opinion=second_opinion,
            frames=frames,
            writing=writing,
            home=home,
            loader=loader,
            library=library,
        )
        if checkpointer is not None:
            return cls(nodes, checkpoints_of(checkpointer))
        return cls(nodes, open_checkpoints(nodes.library))

    @property
    def library(self) -> CaseLibrary:
        """The library that holds the agent's cases."""
        return self._nodes.library

    @property
    def info(self) -> EngineInfo:
        """What the agent's model is. The model is loaded if it was not loaded yet."""
        return self._nodes.sessions.info

    @property
    def settings(self) -> RunSettings:
        """The settings of new cases. A case adds its segment, its sampling and its exclusions."""
        return self._nodes.settings

    @property
    def sessions(self) -> SessionPool:
        """The open sessions of the agent's model: tools that share them load no second model."""
        return self._nodes.sessions

    @property
    def pools(self) -> list[SessionPool]:
        """The sessions of the agent's model and, if it has one, of the second model."""
        return self._nodes.pools

    @property
    def knowledge(self) -> KnowledgeBase:
        """The agent's knowledge base. It is opened if it was not opened yet."""
        return self._nodes.retriever.open()

    def knowledge_hashes(self) -> dict[str, str]:
        """Return the hashes and the version of the knowledge base. It is opened if it was not opened yet."""
        self._nodes.retriever.open()
        return self._nodes.retriever.provenance()

    def confine(self, refuse: Callable[[str], object]) -> None:
        """Have ``refuse`` called with the path of each video before it is opened; it raises if the path is not allowed.

        Servers use it for paths that others name.
        """
        for pool in self._nodes.pools:
            pool.refuse = refuse

    def diagnose(
        self,
        video: str | Path,
        question: str | None = None,
        site: str | None = None,
        *,
        case_id: str | None = None,
        start: float | None = None,
        end: float | None = None,
        sampling: str = "uniform",
        exclude: Sequence[str] = (),
        writing: WritingRule | None = None,
        crop: Sequence[float] | None = None,
        on_progress: OnProgress | None = None,
    ) -> CaseReport:
        """Work on a case until it ends or waits for a review.

        Args:
            video: A video, an image or a folder of frames.
            question: The question; default: the best diagnosis is asked for.
            site: Where in the body the tissue comes from; it binds the differential.
            case_id: The id of the new case; default: a new id.
            start: First second of the segment; default: the beginning.
            end: Last second of the segment; default: the end.
            sampling: How frames are chosen: "uniform", "fps" or "keyframes".
            exclude: Sources, patients or groups whose records may not be used. The video itself is always excluded.
            writing: Which burned-in writing is filled before anything sees the frames: "mask-all", "mask-personal" or
                "keep"; default: the agent's rule.
            crop: The part of each frame to look at: left, top, right, bottom as shares of the frame, or in pixels if one
                of them is above 1. Default: the whole frame.
            on_progress: Called for what happens between two steps: started steps, activities, tokens.

        Returns:
            The report. Its status is "waiting for review" if a person has to decide; continue with :meth:`resume`.

        Raises:
            InputError: The video, the site, the question or the crop cannot be used.
        """
        case_id = case_id or new_case_id()
        request = CaseRequest(
            video, question, site, start, end, sampling, exclude, case_id, writing=writing, crop=crop
        )
        for _ in self.stream_case(request, on_progress=on_progress):
            pass
        return self.report(request.case_id)

    def stream(
        self,
        video: str | Path,
        question: str | None = None,
        site: str | None = None,
        *,
        case_id: str | None = None,
        start: float | None = None,
        end: float | None = None,
        sampling: str = "uniform",
        exclude: Sequence[str] = (),
        writing: WritingRule | None = None,
        crop: Sequence[float] | None = None,
        on_progress: OnProgress | None = None,
    ) -> Iterator[Step]:
        """Work on a case and yield each step as it finishes.

        If you stop iterating, :meth:`resume` continues the case. Give a ``case_id`` (``new_case_id()``) to get the
        :meth:`report` afterwards. If the model could not answer even once, no case is kept.

        Args:
            video: As in :meth:`diagnose`, like all other arguments.
            question: See :meth:`diagnose`.
            site: See :meth:`diagnose`.
            case_id: See :meth:`diagnose`.
            start: See :meth:`diagnose`.
            end: See :meth:`diagnose`.
            sampling: See :meth:`diagnose`.
            exclude: See :meth:`diagnose`.
            writing: See :meth:`diagnose`.
            crop: See :meth:`diagnose`.
            on_progress: See :meth:`diagnose`.

        Raises:
            InputError: The video, the site, the question or the crop cannot be used.
        """
        case_id = case_id or new_case_id()
        request = CaseRequest(
            video, question, site, start, end, sampling, exclude, case_id, writing=writing, crop=crop
        )
        return self.stream_case(request, on_progress=on_progress)

    def stream_case(self, request: CaseRequest, *, on_progress: OnProgress | None = None) -> Iterator[Step]:
        """Work on a requested case and yield each step as it finishes, as :meth:`stream` does."""
        inputs = self._enter(request)
        case_id = request.case_id
        with self.library.working(case_id):
            try:
                yield from self._run(case_id, inputs, on_progress)
            except VideoPathError:
                if not (self.library.folder(case_id) / JOURNAL_NAME).exists():
                    self.library.discard(case_id)
                raise

    def diagnose_many(
        self,
        requests: Iterable[str | Path | CaseRequest],
        *,
        out: str | Path | None = None,
        retry_failed: bool = False,
        on_result: Callable[[ResultRow], object] | None = None,
    ) -> Iterator[ResultRow]:
        """Work on many cases, one after the other, and yield a row for each as it ends.

        Nothing stops the others: a file that cannot be used becomes a row with the status "refused", and an error one with
        "failed". The id of a case follows from its file, model, knowledge and settings, so that a case that was stopped is
        continued and a finished one is not done again. ``videopath batch`` does the same with several processes.

        Args:
            requests: Videos, or requests; they are read as they are needed. A video may be the address of a file on a
                store, such as ``s3://bucket/case.mp4``. The case id of a request is not used.
            out: A folder for the journal, ``results.parquet`` and ``results.csv``, or its address on a store. A second
                run with this folder takes finished rows from its journal. Default: nothing is written but the cases in
                the library.
            retry_failed: Whether rows that failed in an earlier run with ``out`` are tried again.
            on_result: Called for each row before it is yielded.

        Returns:
            The rows in the order in which they end.

        Raises:
            InputError: ``out`` cannot be used, or another process works in it.
        """
        from videopath.agent.many.here import diagnose_here
        from videopath.core.remote import place

        return diagnose_here(
            self,
            requests,
            out=None if out is None else place(out),
            retry_failed=retry_failed,
            on_result=on_result,
        )

    def begin(
        self,
        video: str | Path,
        question: str | None = None,
        site: str | None = None,
        *,
        case_id: str | None = None,
        start: float | None = None,
        end: float | None = None,
        sampling: str = "uniform",
        exclude: Sequence[str] = (),
        writing: WritingRule | None = None,
        crop: Sequence[float] | None = None,
        queued: bool = False,
    ) -> str:
        """Enter a case in the library and return its id; :meth:`stream_resume` starts the work.

        Use it to queue cases: a waiting case is in the library and outlives the process. With ``queued`` one of the
        processes ``videopath worker`` does the work. Other arguments and errors are those of :meth:`diagnose`.
        """
        case_id = case_id or new_case_id()
        return self.begin_case(
            CaseRequest(
                video, question, site, start, end, sampling, exclude, case_id, writing=writing, crop=crop
            ),
            queued=queued,
        )

    def begin_case(self, request: CaseRequest, *, queued: bool = False) -> str:
        """Enter a requested case in the library and return its id, as :meth:`begin` does."""
        self._enter(request, queued=queued)
        return request.case_id

    def resume(
        self,
        case_id: str,
        decision: Decision | dict[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
    ) -> CaseReport:
        """Continue a case after a kill, or with a person's decision after a review.

        Args:
            case_id: The case.
            decision: The decision that the case waits for. Without one, a waiting or finished case stays as it is.
            on_progress: As in :meth:`diagnose`.

        Returns:
            The report.

        Raises:
            CaseError: The case is unknown, or it does not wait for exactly this decision.
        """
        for _ in self.stream_resume(case_id, decision, on_progress=on_progress):
            pass
        return self.report(case_id)

    def stream_resume(
        self,
        case_id: str,
        decision: Decision | dict[str, Any] | None = None,
        *,
        on_progress: OnProgress | None = None,
        held: bool = False,
    ) -> Iterator[Step]:
        """Continue a case as :meth:`resume` does, and yield each further step as it finishes.

        Args:
            case_id: See :meth:`resume`.
            decision: See :meth:`resume`.
            on_progress: See :meth:`diagnose`.
            held: Whether the caller already holds the case's lock.
        """
        self.library.entry(case_id)
        lost = "" if decision is None else decision_not_kept(read_decision(decision))
        with nullcontext() if held else self.library.working(case_id, lost=lost):
            if decision is None and self.library.finished(case_id):
                self._drop_checkpoints(case_id)  # a kill may have come after the end and before this
                return
            if decision is None:
                decision = self._queued_decision(case_id)
            inputs = self._continuation(case_id, decision)
            if inputs is None and self.pending(case_id):
                self._save_waiting(case_id)
            else:
                yield from self._run(case_id, inputs, on_progress)

    def pending(self, case_id: str) -> Interrupt | None:
        """Return the review that a case waits for; None if it waits for none.

        Its ``id`` goes into the decision as ``interrupt_id``; its ``value`` is what the person decides on.
        """
        return next(iter(self._snapshot(case_id).interrupts), None)

    def check(self, case_id: str, decision: Decision | dict[str, Any]) -> Decision:
        """Check a decision before it is given to :meth:`resume`; nothing is loaded or changed.

        Returns:
            The decision with its ``changes`` filled in.

        Raises:
            CaseError: The case does not wait for exactly this decision, or the decision cannot be carried out.
        """
        decision = read_decision(decision)
        waiting = self.pending(case_id)
        lost = decision_not_kept(decision)
        if waiting is None:
            raise CaseError(
                f"Case {case_id} does not wait for a decision: somebody has already decided, or no decision was asked for.{lost}"
            )
        if decision.interrupt_id not in (None, waiting.id):
            raise CaseError(
                f"The decision answers an earlier review of case {case_id}, not the present one: "
                f"look at the case again.{lost}"
            )
        case = self._case(case_id)
        return checked_decision(decision, settled_look(case), case.facts, case.unknown_label)

    def report(self, case_id: str) -> CaseReport:
        """Return the report of a case that is finished or waits for a review.

        Raises:
            CaseError: The case is unknown or has no report yet.
        """
        return self.library.get(case_id)

    def ask(self, case_id: str, question: str, *, on_token: Callable[[str], None] | None = None) -> FollowUp:
        """Ask the model a question about a case that has a report, and keep the answer beside it.

        The question is answered on the frames that the report rests on. The answer is never part of the diagnosis; the
        report stays as it is, also a signed one.

        Args:
            case_id: The case: done, abstained, waiting for a review, signed or rejected.
            question: The question, at most 2,000 characters.
            on_token: Called with the answer, piece by piece. If it raises, nothing is kept.

        Returns:
            The question with its answer; ``answered`` says whether the answer fits the question.

        Raises:
            CaseError: The case is unknown, has no report yet, is being worked on, or was diagnosed by another model.
            EngineError: The model fails.
            InputError: The question is empty or too long, or the video is gone or was replaced.
        """
        self._refuse_closed()
        question, entry = checked_question(question), self.library.entry(case_id)
        if entry.at_work:
            raise CaseError(f"Another process works on case {case_id}: ask when it has finished.")
        if entry.status in UNFINISHED:
            raise CaseError(
                f"Case {case_id} is {entry.state}, so it cannot be asked about: resume it first with "
                f"`videopath cases resume {case_id}`."
            )
        report, pool = self.library.get(case_id), self._nodes.sessions
        refuse_other_model(report, pool.info)
        video = report.video.sha256 if report.video else ""
        asked = ask_about(report, question, Recording(pool, None, video, on_token))
        self.library.add_question(case_id, asked)
        return asked

    def close(self) -> None:
        """Close sessions and checkpoints. Work on cases raises ``CaseError`` from now on."""
        self._closed = True
        for pool in self._nodes.pools:
            pool.close()
        self._checkpoints.close()

    def __enter__(self) -> DiagnosticAgent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _enter(self, request: CaseRequest, *, queued: bool = False) -> CaseInput:
        """Enter the case in the library and write its inputs to its folder."""
        self._refuse_closed()
        inputs = request.inputs(self._nodes.settings)
        model = self._nodes.settings.model
        text = json.dumps(inputs, ensure_ascii=False, indent=2)
        self.library.start(
            request.case_id, inputs["video"], inputs["site"], model, inputs=text, queued=queued
        )
        return inputs

    def _queued_decision(self, case_id: str) -> Decision | None:
        """Return the decision that was queued for the present review of a case.

        A worker may have been killed after it gave the decision to the graph: then it answers no review any more.
        """
        decision = CaseQueue(self.library).decision(case_id)
        waiting = None if decision is None else self.pending(case_id)
        return decision if decision and waiting and decision.interrupt_id == waiting.id else None

    def _refuse_closed(self) -> None:
        if self._closed:
            raise CaseError("This agent is closed: load another one, or work within its `with` block.")

    def _continuation(
        self, case_id: str, decision: Decision | dict[str, Any] | None
    ) -> Command | CaseInput | None:
        """Return the graph's next input: the decision; the inputs, if there is no checkpoint yet; else None."""
        if decision is not None:
            return Command(resume=self.check(case_id, decision).model_dump(mode="json"))
        if _has_begun(self._snapshot(case_id)):
            return None
        inputs = self.library.folder(case_id) / INPUTS_NAME
        if not inputs.exists():
            raise CaseError(f"Case {case_id} was stopped before it started: delete it and start a new one.")
        try:
            values = parse_json(inputs.read_bytes(), str(inputs), CaseError)
        except OSError as error:
            raise CaseError(f"{inputs} cannot be read: {error.strerror or error}.") from error
        if not isinstance(values, dict) or not isinstance(values.get("video"), str):
            raise CaseError(f"{inputs} is damaged: diagnose the video again.")
        return cast(CaseInput, values)

    def _run(self, case_id: str, inputs: Any, on_progress: OnProgress | None) -> Iterator[Step]:
        """Run the graph until it ends or waits; the library has the status of the case all the while."""
        return spanned("case", lambda work: self._steps(work, case_id, inputs, on_progress), case_id=case_id)

    def _steps(
        self, work: Work, case_id: str, inputs: Any, on_progress: OnProgress | None
    ) -> Generator[Step, None, None]:
        self.library.set_status(case_id, "running")
        started = time.monotonic()
        _log.info("Case %s: %s.", case_id, "started" if isinstance(inputs, dict) else "resumed")
        try:
            # Only "updates": then the nodes run in this thread, so that an interrupt stops them between two tokens,
            # and a step is yielded when its checkpoint is on disk. "custom" would run the nodes in another thread.
            updates: Any = self.graph.stream(
                inputs,
                self._config(case_id),
                context=RunContext(on_progress),
                stream_mode="updates",
                durability="sync",
            )
            for update in updates:
                yield from _steps_of(update)
        except LostCaseError:
            _log.warning("Case %s: lost with the connection to the database.", case_id)
            raise  # its status belongs to whoever works on it now
        except VideoPathError as error:
            _log.warning(
                "Case %s: failed after %.1f s with %s.",
                case_id,
                time.monotonic() - started,
                type(error).__name__,
                extra={"seconds": time.monotonic() - started},
            )
            work.note(status="failed")
            _log.debug("Case %s: %s", case_id, error)
            self.library.set_status(case_id, "failed", str(error))
            raise
        except self._checkpoints.errors as error:
            raise CaseError(self._checkpoints.explain(error)) from error
        except ValidationError as error:
            raise CaseError(self._damaged(case_id, error)) from error
        if self.pending(case_id):
            self._save_waiting(case_id)
        elif self.library.finished(case_id):
            self._drop_checkpoints(case_id)
        status = self.library.entry(case_id).status
        work.note(status=status)
        seconds = time.monotonic() - started
        _log.info("Case %s: %s after %.1f s.", case_id, status, seconds, extra={"seconds": seconds})

    def _save_waiting(self, case_id: str) -> None:
        """Save the report as it stands, for the person who is asked."""
        case, folder = self._case(case_id), self.library.folder(case_id)
        report = build_report(case, save_evidence(folder, self._nodes.sessions, best_look(case.looks)))
        report.status = "waiting for review"
        self.library.save(report)

    def _config(self, case_id: str) -> Any:
        return {"configurable": {"thread_id": case_id}, "recursion_limit": 50}

    def _snapshot(self, case_id: str) -> Any:
        """Return the latest checkpoint of a case; raise ``CaseError`` if it is damaged."""
        self._refuse_closed()
        try:
            snapshot = self.graph.get_state(self._config(case_id))
            if _has_begun(snapshot):
                _STATE.validate_python(snapshot.values)
                _MARKS.validate_python(snapshot.metadata)
        except VideoPathError:
            raise
        except _DAMAGE as error:
            raise CaseError(self._damaged(case_id, error)) from error
        except self._checkpoints.errors as error:
            raise CaseError(self._checkpoints.explain(error)) from error
        return snapshot

    def _drop_checkpoints(self, case_id: str) -> None:
        """Delete the checkpoints of a case that needs them no more."""
        if not self._checkpoints.is_own:
            self._checkpoints.saver.delete_thread(case_id)
        self.library.drop_checkpoints(case_id)

    def _case(self, case_id: str) -> StateView:
        return StateView(self._snapshot(case_id).values)

    def _damaged(self, case_id: str, error: Exception) -> str:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        return (
            f"The checkpoints of case {case_id} in {self._checkpoints.name} cannot be used ({reason}): check the disk, or "
            "diagnose the video again."
        )


def _has_begun(snapshot: Any) -> bool:
    """Return whether the graph has taken its inputs over; a kill may come between their checkpoint and the next one."""
    return snapshot.created_at is not None and START not in snapshot.next


def _steps_of(update: dict[str, Any]) -> Iterator[Step]:
    """Yield the new steps of an update. After a kill, LangGraph repeats finished ones and marks them as cached."""
    if not update.get("__metadata__", {}).get("cached"):
        for node, change in update.items():
            if change and not node.startswith("__"):  # a failed review has no change; its error follows
                yield from (Step.model_validate(step) for step in change["steps"])
