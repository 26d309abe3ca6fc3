"""What the tools of the MCP server do, without the protocol.

The methods block, so the server calls them in threads. They take the paths of videos from strangers: each path must lie in
one of the allowed folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from videopath.agent.cases.library import new_case_id
from videopath.agent.cases.request import CaseRequest
from videopath.agent.cases.team.worklist import Sifting, Worklist
from videopath.app.mcp import results
from videopath.app.mcp.files import case_file, case_files
from videopath.core.choices import DisplayedStatus
from videopath.core.errors import CaseError, InputError, NotTissueError
from videopath.core.folders import visitor_path
from videopath.core.pathology.sites import canonical_site
from videopath.tools.describe import DescribeTool
from videopath.tools.diagnose import DiagnoseTool
from videopath.tools.retrieve import RetrieveTool
from videopath.tools.schemas import ClipInput, Neighbour
from videopath.tools.session_pool import Recording

if TYPE_CHECKING:
    from videopath.agent import CaseReport, DiagnosticAgent, Step
    from videopath.agent.graph.steps import Progress
    from videopath.core.settings import Settings

Check = Callable[[], None]
"""Called between two tokens and two activities; it raises to stop the call."""

_NAMED_BY_CALLER = "named by the caller"


class TissueService:
    """The tools and the cases of one agent. Its model answers one call at a time.

    Args:
        agent: The agent; it is closed by :meth:`close`.
        settings: Their ``folders`` confine the videos that callers name.

    Raises:
        InputError: The settings name no folders.
    """

    def __init__(self, agent: DiagnosticAgent, settings: Settings) -> None:
        if not settings.folders:
            raise InputError("Name the folders whose videos may be opened: --folder, or the setting folders.")
        self._agent = agent
        self._settings = settings
        self._folders = settings.folders
        agent.confine(partial(visitor_path, settings=settings))

    def describe(
        self, clip: ClipInput, site: str | None, check: Check, max_new_tokens: int = 256
    ) -> results.TissueDescription:
        """Describe a clip.

        Args:
            clip: The clip; its video is a path that the caller named.
            site: The site.
            check: Stops the call by raising.
            max_new_tokens: Most tokens of the description.

        Raises:
            InputError: The path, the clip or the site cannot be used, or the frames show no tissue.
        """
        site = canonical_site(site) if site else None  # fail fast, before a video is read
        recording, clip = self._recording(check), self._tissue(clip)
        tool = DescribeTool(sessions=recording)
        found = tool.invoke({**clip.model_dump(), "site": site, "max_new_tokens": max_new_tokens})
        info = recording.info
        sha256 = recording.pool.clip(clip).sha256
        return results.description_of(found, sha256, info.address, info.weights_sha256)

    def retrieve(
        self,
        description: str,
        clip: ClipInput | None,
        site: str | None,
        exclude: Sequence[str],
        limit: int,
        check: Check,
    ) -> results.SimilarCases:
        """Find the records of the knowledge base that are most like a description or a clip.

        Raises:
            InputError: There is neither a description nor a clip, or one of them cannot be used.
        """
        if clip is None and not description.strip():
            raise InputError("Give a description, a video, or both: there is nothing to search for.")
        site = canonical_site(site) if site else None
        recording, names = self._recording(check), list(exclude)
        if clip is not None:
            clip = self._tissue(clip)
            names = [clip.video, recording.pool.clip(clip).sha256, *names]
        tool = RetrieveTool(knowledge=self._agent.knowledge, sessions=recording)
        found = tool.invoke(
            {"description": description, "site": site, "exclude_sources": names, "k": limit, "clip": clip}
        )
        return results.similar_cases_of(found)

    def diagnose(
        self,
        clip: ClipInput,
        description: str,
        site: str | None,
        question: str | None,
        similar: Sequence[str],
        check: Check,
    ) -> results.TissueDiagnosis:
        """Let the model answer once, from a description and the records that the caller names.

        Args:
            clip: The clip.
            description: The findings.
            site: The site.
            question: The question; None asks for the best diagnosis.
            similar: Ids of records of the knowledge base that the model sees as evidence, best first.
            check: Stops the call by raising.

        Raises:
            InputError: The clip or the site cannot be used.
            KnowledgeError: A record is unknown.
        """
        site = canonical_site(site) if site else None
        recording, clip = self._recording(check), self._tissue(clip)
        neighbours = list(self._neighbours(similar))
        found = DiagnoseTool(sessions=recording).invoke(
            {
                **clip.model_dump(),
                "description": description,
                "site": site,
                "question": question,
                "neighbours": neighbours,
            }
        )
        return results.diagnosis_of(found, recording.info.address, recording.info.weights_sha256)

    def diagnose_case(
        self, request: CaseRequest | None, case_id: str, on_step: Callable[[Step], object], check: Check
    ) -> results.CaseOutcome:
        """Work on a new case, or go on with one that was stopped. A finished case stays as it is.

        Args:
            request: What the caller asks; None if only the id of a case was given.
            case_id: The case.
            on_step: Called with each finished step.
            check: Stops the call by raising. The case can be resumed afterwards.

        Raises:
            InputError: The path, the site or the question cannot be used.
            CaseError: The case is unknown, is at work elsewhere, or belongs to other models.
        """

        def stop(_: Progress) -> None:
            check()

        if request is not None and not self._is_known(case_id):
            steps = self._agent.stream_case(self._confined(request), on_progress=stop)
        else:
            self._refuse_other_models(case_id)
            self._refuse_other_video(case_id, request)
            steps = self._agent.stream_resume(case_id, on_progress=stop)
        with closing(steps):  # type: ignore[type-var]
            for step in steps:
                on_step(step)
        return self._outcome(self._agent.report(case_id))

    def ask(self, case_id: str, question: str, check: Check) -> results.CaseAnswer:
        """Ask the model about a case that has a report, and keep the answer beside it.

        Raises:
            CaseError: The case is unknown, has no report, or belongs to another model.
        """
        return results.answer_of(case_id, self._agent.ask(case_id, question, on_token=lambda _: check()))

    def cases(self, state: DisplayedStatus | None, site: str | None, limit: int) -> results.CaseList:
        """List the cases, newest first."""
        sifting = Sifting(statuses=(state,) if state else (), sites=(canonical_site(site),) if site else ())
        worklist = Worklist(self._agent.library)
        return results.CaseList(
            cases=[results.row_of(entry) for entry in worklist.page(sifting, limit)],
            total=worklist.count(sifting),
        )

    def report(self, case_id: str) -> results.CaseText:
        """Return the outcome of a case with its report.

        Raises:
            CaseError: The case is unknown or has no report.
        """
        report = self._agent.report(case_id)
        outcome = self._outcome(report)
        return results.CaseText(**outcome.model_dump(), markdown=report.to_markdown())

    def file(self, case_id: str, name: str) -> bytes:
        """Return a file of a case.

        Raises:
            CaseError: The case or the file is unknown.
        """
        return case_file(self._agent.report(case_id), name)

    def new_case_id(self, case_id: str | None) -> str:
        """Return the id that the caller chose, or a new one.

        Raises:
            CaseError: The id is not a file name.
        """
        self._agent.library.folder(case_id or "new")
        return case_id or new_case_id()

    def close(self) -> None:
        """Close the agent."""
        self._agent.close()

    def _outcome(self, report: CaseReport) -> results.CaseOutcome:
        return results.outcome_of(report.without_paths(), case_files(report))

    def _recording(self, check: Check) -> Recording:
        return Recording(self._agent.sessions, on_token=lambda _: check(), on_activity=lambda _: check())

    def _neighbours(self, ids: Sequence[str]) -> Iterator[Neighbour]:
        for rank, record in enumerate(map(self._agent.knowledge.get, ids), start=1):
            yield Neighbour(
                id=record.id,
                source=record.source,
                site=record.site,
                diagnosis=record.diagnosis,
                description=record.description,
                score=0.0,
                kept=True,
                why=_NAMED_BY_CALLER,
                rank=rank,
            )

    def _tissue(self, clip: ClipInput) -> ClipInput:
        """Return a clip with its whole path; refuse pictures that show no tissue, as a case does."""
        from videopath.media.quality.gate import assess

        settings = self._agent.settings
        frames = clip.frames or settings.frames
        clip = clip.model_copy(
            update={"video": str(self._path(clip.video)), "frames": frames, "writing": settings.writing}
        )
        quality = assess(self._agent.sessions.clip(clip))
        if quality.verdict == "refused":
            raise NotTissueError(" ".join(quality.sentences))
        return clip

    def _confined(self, request: CaseRequest) -> CaseRequest:
        return replace(request, video=self._path(str(request.video)))

    def _path(self, name: str) -> Path:
        """Return the file or folder that a caller names; a relative name is looked for in each allowed folder."""
        if not name.strip():
            raise InputError(
                "The video has no name: give the path of a video, an image or a folder of frames."
            )
        given = Path(name)
        if not given.is_absolute() and not name.startswith("~"):
            inside = [folder.expanduser() / given for folder in self._folders]
            given = next((path for path in inside if path.exists()), inside[0])
        target = visitor_path(given, self._settings)
        if not target.exists():
            raise InputError(f"There is no file or folder {name} in the allowed folders.")
        return target

    def _is_known(self, case_id: str) -> bool:
        try:
            self._agent.library.entry(case_id)
        except CaseError:
            return False
        return True

    def _refuse_other_models(self, case_id: str) -> None:
        """Refuse to go on with a case that was begun with another model or knowledge base."""
        from videopath.agent.replay import settings_of

        if self._agent.library.finished(case_id):
            return
        begun, own = settings_of(self._agent.library, case_id), self._agent.settings
        second = begun.second_opinion and begun.second_opinion.model
        own_second = own.second_opinion and own.second_opinion.model
        if (begun.model, begun.base, begun.knowledge, second) != (
            own.model,
            own.base,
            own.knowledge,
            own_second,
        ):
            raise CaseError(
                f"Case {case_id} was begun with another model or knowledge base than this server has: resume it with "
                f"`videopath cases resume {case_id}`."
            )

    def _refuse_other_video(self, case_id: str, request: CaseRequest | None) -> None:
        if (
            request is not None
            and str(self._path(str(request.video))) != self._agent.library.entry(case_id).video
        ):
            raise CaseError(
                f"Case {case_id} is of another video: leave the video out to resume it, or choose another case id."
            )
