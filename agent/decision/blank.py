"""What the model says of nothing: the label that it gives a blank video.

A model that says the same of a blank video as of a case has not looked. It is asked once for each engine, site and
question, and only if its confidence is not calibrated: a calibration already tells what an answer is worth.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from videopath.agent.policy import Policy
from videopath.core.pathology.labels import normalised_label
from videopath.model.prompts.questions import DIAGNOSIS_START, describe_question, diagnose_question
from videopath.tools.diagnose import DiagnoseTool, softmax
from videopath.tools.reference_clips import stand_in
from videopath.tools.schemas import DiagnoseResult
from videopath.tools.session_pool import SessionPool

_Key = tuple[str | None, str | None, int, int, int]
_known: WeakKeyDictionary[object, dict[_Key, set[str]]] = WeakKeyDictionary()
_chances: WeakKeyDictionary[
    object, dict[tuple[str | None, str | None, int, tuple[str, ...]], dict[str, float]]
] = WeakKeyDictionary()
_lock = threading.Lock()


def labels_of_blank(
    pool: SessionPool, site: str | None, question: str | None, frames: int, policy: Policy
) -> set[str]:
    """What the model says of a blank video of ``frames`` frames, as ``normalised_label`` gives it.

    The label with the highest score, and the one that it writes by itself.
    """
    engine = pool.engine
    key = (site, question, frames, policy.description_tokens, policy.answer_tokens)
    with _lock:
        found = _known.setdefault(engine, {}).get(key)
    if found is None:
        found = _asked(pool, site, question, frames, policy)
        with _lock:
            _known[engine][key] = found
    return found


def _asked(
    pool: SessionPool, site: str | None, question: str | None, frames: int, policy: Policy
) -> set[str]:
    with stand_in(pool, "blank", frames) as session:
        described = session.generate(describe_question(site), max_new_tokens=policy.description_tokens)
        asked = {
            "description": described.text.strip(),
            "site": site,
            "question": question,
            "max_new_tokens": policy.answer_tokens,
        }
        tool = DiagnoseTool(sessions=session.recording)
        result: DiagnoseResult = tool.invoke({**session.request.model_dump(), **asked})
    return {normalised_label(label) for label in (result.label, result.generated) if label}


def chances_of_blank(
    pool: SessionPool, site: str | None, question: str | None, frames: int, labels: Sequence[str]
) -> dict[str, float]:
    """Label → its probability among these of a blank video of ``frames`` frames, asked for once without a description.

    A label that is as likely of nothing does not rest on the picture. One pass costs far less than a look.
    """
    key = (site, question, frames, tuple(labels))
    with _lock:
        found = _chances.setdefault(pool.engine, {}).get(key)
    if found is None:
        card = pool.info.card
        with stand_in(pool, "blank", frames) as session:
            scores = session.score(
                diagnose_question(site, "", (), question),
                [f" {label}\n" for label in labels],
                answer_start=DIAGNOSIS_START,
                reduce=card.score_reduction,
            )
        found = dict(zip(labels, softmax(scores, card.calibration.get("temperature", 1.0)), strict=True))
        with _lock:
            _chances[pool.engine][key] = found
    return found
