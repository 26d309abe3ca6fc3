"""The rounds of a case: the first look, closer looks, and what came after a person's revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from videopath.agent import Step
from videopath.app.web.components.shared.inert import inert
from videopath.app.web.components.shared.view import result_of

_ANSWERS = ("verify", "diagnose", "diagnose_blind")  # the steps that answer, the last word first
_A_ROW = 3


@dataclass
class Round:
    """One round: its title and its steps with their numbers."""

    title: str
    steps: list[tuple[int, Step]] = field(default_factory=list)

    @property
    def answer(self) -> str:
        """The answer of the round; empty if it has none."""
        return str(self._result.get("label", ""))

    @property
    def certainty(self) -> str:
        """The answer's probability in the differential and the calibrated confidence, in a few words."""
        first = next(iter(self._result.get("differential", [])), None)
        parts = [f"{first['probability']:.0%} of its differential"] if first else []
        confidence = next(
            (step.detail.get("confidence") for _, step in reversed(self.steps) if step.name == "verify"), None
        )
        return " · ".join([*parts, *([f"confidence {confidence:.0%}"] if confidence is not None else [])])

    @property
    def _result(self) -> dict[str, Any]:
        steps = [step for _, step in self.steps]
        return next((found for name in _ANSWERS if (found := result_of(steps, name))), {})


def rounds_of(steps: Sequence[Step]) -> list[Round]:
    """Return the steps in rounds: a closer look begins one, and so does what follows a revision."""
    rounds, closer, revised_by = [Round("First look")], 0, ""
    for number, step in enumerate(steps, 1):
        if revised_by and step.name != "look_closer":
            rounds.append(Round(f"After {revised_by}"))
        elif step.name == "look_closer":
            closer += 1
            rounds.append(Round("Closer look" if closer == 1 else f"Closer look {closer}"))
        revised_by = ""
        rounds[-1].steps.append((number, step))
        decision = step.detail.get("decision") or {}
        if step.name == "review" and decision.get("action") == "revise":
            revised_by = decision.get("reviewer") or "a reviewer"
    return rounds


def answers(rounds: Sequence[Round]) -> None:
    """Draw the answers of the rounds side by side; nothing for a single round."""
    answered = [one for one in rounds if one.answer]
    if len(answered) < 2:
        return
    with st.container(key="rounds", gap="xsmall"):
        for first in range(0, len(answered), _A_ROW):
            row = answered[first : first + _A_ROW]
            for column, one in zip(st.columns(_A_ROW, gap="small"), row, strict=False):
                with column, st.container(border=True, gap=None):
                    st.caption(inert(one.title))
                    st.markdown(f"**{inert(one.answer)}**")
                    st.caption(inert(one.certainty))
