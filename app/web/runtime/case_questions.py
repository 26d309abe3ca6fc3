"""Questions to the model of a case; they wait in the worker's queue like cases, and can be read while they are answered."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from videopath.core.errors import CaseError

if TYPE_CHECKING:
    from videopath.agent import FollowUp
    from videopath.agent.cases.records import RunSettings
    from videopath.app.web.runtime.services import Services
    from videopath.model.inference.engine import Engine
    from videopath.model.inference.spec import EngineSpec

QuestionPhase = Literal["waiting", "reading", "writing", "ended"]


@dataclass(eq=False)
class CaseQuestion:
    """A question to the model of a case, and how far its answer is."""

    case_id: str
    question: str
    started: float = field(default_factory=time.time)
    answer: Future[FollowUp] = field(default_factory=Future)
    _text: str = ""
    _stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def text(self) -> str:
        """What the model has written so far."""
        return self._text

    @property
    def phase(self) -> QuestionPhase:
        """How far it is: it waits for its turn, the model reads the frames, it writes, or it has ended."""
        if self.answer.done():
            return "ended"
        if not self.answer.running():
            return "waiting"
        return "writing" if self._text else "reading"

    def write(self, piece: str) -> None:
        """Take a piece of the answer; raise ``CaseError`` if a person has stopped the question."""
        if self._stopped.is_set():
            raise CaseError("The question was stopped: nothing was kept.")
        self._text += piece

    def stop(self) -> None:
        """Stop the question: at once if it waits, else before the next word. Nothing of it is kept."""
        self._stopped.set()
        self.answer.cancel()

    @property
    def stopping(self) -> bool:
        """Whether a person has stopped it."""
        return self._stopped.is_set()


def ask_case(shared: Services, owner: str, case_id: str, question: str) -> CaseQuestion:
    """Queue a question to the model that diagnosed a case; its answer is kept with the case.

    Args:
        shared: The services.
        owner: The name of the browser session, for its turn in the queue.
        case_id: The case.
        question: The question.

    Raises:
        InputError: The question is empty or too long.
    """
    from videopath.agent.cases.request import checked_question

    asked = CaseQuestion(case_id, checked_question(question))

    def settings() -> RunSettings:
        """Return those of the case; in the worker's thread, since the agent's modules take a second to load."""
        from videopath.agent.replay import settings_of

        return settings_of(shared.library, case_id).model_copy(update={"second_opinion": None})

    def spec() -> EngineSpec:
        from videopath.agent.replay import spec_of

        return spec_of(settings(), accept_licence=shared.settings.accept_licence)

    def work(engine: Engine) -> FollowUp:
        from videopath.agent.replay import agent_of

        with agent_of(settings(), shared.library, spec=spec(), engine=engine) as agent:
            return agent.ask(case_id, asked.question, on_token=asked.write)

    asked.answer = shared.worker.ask(owner, work, spec)
    return asked
