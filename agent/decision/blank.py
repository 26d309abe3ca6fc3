"""The model's answers to a blank video.

If the model gives a case the same diagnosis as a blank video, the diagnosis does not rest on the picture. The answers
are kept for each engine, site and question.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from videopath.agent.policy import Policy
from videopath.core.pathology.labels import normalised_label
from videopath.model.calibration import Calibration
from videopath.model.prompts.prompt_set import PromptFacts
from videopath.tools.answers.diagnosis_forms import answer_form
from videopath.tools.describe import describe_clip
from videopath.tools.diagnose import DiagnoseTool, softmax
from videopath.tools.reference_clips import stand_in
from videopath.tools.schemas import DiagnoseResult
from videopath.tools.session_pool import SessionPool

_Key = tuple[str | None, str | None, int, int, int]
_labels: WeakKeyDictionary[object, dict[_Key, set[str]]] = WeakKeyDictionary()
_probabilities: WeakKeyDictionary[
    object, dict[tuple[str | None, str | None, int, tuple[str, ...]], dict[str, float]]
] = WeakKeyDictionary()
_lock = threading.Lock()


def labels_of_blank(
    pool: SessionPool, site: str | None, question: str | None, frames: int, policy: Policy
) -> set[str]:
    """Return the model's diagnoses of a blank video, normalised: the one with the highest score, and the written one.

    Args:
        pool: The pool with the engine.
        site: The site of the case.
        question: The question of the case.
        frames: How many frames the blank video has.
        policy: The policy of the case.
    """
    engine = pool.engine
    key = (site, question, frames, policy.description_tokens, policy.answer_tokens)
    with _lock:
        labels = _labels.setdefault(engine, {}).get(key)
    if labels is None:
        labels = _ask(pool, site, question, frames, policy)
        with _lock:
            _labels[engine][key] = labels
    return labels


def _ask(pool: SessionPool, site: str | None, question: str | None, frames: int, policy: Policy) -> set[str]:
    with stand_in(pool, "blank", frames) as session:
        arguments = {
            "description": describe_clip(session, site, policy.description_tokens).text,
            "site": site,
            "question": question,
            "max_new_tokens": policy.answer_tokens,
        }
        tool = DiagnoseTool(sessions=session.recording)
        result: DiagnoseResult = tool.invoke({**session.request.model_dump(), **arguments})
    return {normalised_label(label) for label in (result.label, result.generated) if label}


def probabilities_of_blank(
    pool: SessionPool, site: str | None, question: str | None, frames: int, labels: Sequence[str]
) -> dict[str, float]:
    """Return the probability of each label for a blank video, without a description. This costs one pass.

    Args:
        pool: The pool with the engine.
        site: The site of the case.
        question: The question of the case.
        frames: How many frames the blank video has.
        labels: The labels; their probabilities sum to 1.
    """
    key = (site, question, frames, tuple(labels))
    with _lock:
        probabilities = _probabilities.setdefault(pool.engine, {}).get(key)
    if probabilities is None:
        temperature = Calibration(pool.info.card.calibration).temperature
        with stand_in(pool, "blank", frames) as session:
            scores = answer_form(session, PromptFacts(site=site, question=question)).scores(labels)
        probabilities = dict(zip(scores, softmax(list(scores.values()), temperature), strict=True))
        with _lock:
            _probabilities[pool.engine][key] = probabilities
    return probabilities
