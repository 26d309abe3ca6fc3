"""Controls that unmask a guesser: the same questions, with a deliberate fault in the video or the question.

A system that looks at the video changes its answer when the video is blank or another case's, and keeps it when only the wording
changes. A system that guesses from the question and the frequency of diagnoses does neither. Each control derives items from those of
the set. The clip is written as PNG frames, so that blank, shuffled and single frames take the usual way of a folder of frames. All
random choices are seeded by the question's id.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videopath.core.choices import ControlName, SystemName
from videopath.core.errors import InputError
from videopath.core.pathology.entities import credit
from videopath.core.pathology.sites import SITES
from videopath.evaluation.stats.estimates import Estimate
from videopath.evaluation.testsets.answers import Answer, AskSeveral, unanswered
from videopath.evaluation.testsets.metrics import BY_NAME, Draws, draw
from videopath.evaluation.testsets.sets import Item
from videopath.evaluation.testsets.summary import ControlReport
from videopath.evaluation.testsets.table import Encode, Table, table
from videopath.media.clip import open_clip
from videopath.media.quality.stain import one_colour

PAIRS: ControlName = "pairs"
"""The control that asks no new question, see :mod:`videopath.evaluation.testsets.pairs`."""

MEANINGS: dict[ControlName, str] = {
    "blank": "The video is one even white; who looks declines, and who answers as before has not looked.",
    "other-video": "The video is another case's of the same site and of another diagnosis; who looks is wrong about the "
    "question's own case.",
    "shuffled": "The frames are in another order; what falls is what the order is worth.",
    "single-frame": "The frame in the middle is all that is seen; what falls is what the other frames are worth.",
    "paraphrase": "The question stands in other words; who understands it answers as before.",
    "wrong-site": "The site, also in the question, is another one's; who trusts the video more than the words declines or disagrees.",
    "stain": "All clips are brought to the mean colour and contrast of one usual stain; what the score loses came from colour alone.",
    "pairs": "Two cases whose videos look alike and whose diagnoses differ: both must be right, which guessing seldom is.",
}

_WHITE = 255
_OPENINGS = (
    (r"what is the (?:best|most likely|likely|correct|final) diagnosis for ", "Which diagnosis fits best for "),
    (r"what is the (?:best |most likely |likely |correct |final )?diagnosis", "Which diagnosis is it"),
    (r"what (?:does|do) (.+?) show", r"What can be seen in \1"),
    (r"what is (?:seen|shown)", "What can be seen"),
    (r"(?:please )?describe ", "Give a description of "),
    (r"which ", "Can you tell which "),
)  # fmt: skip


@dataclass(frozen=True)
class Changed:
    """An item as a control asks it."""

    item: Item
    frames: Callable[[np.ndarray], np.ndarray] | None = None
    """Change of the clip's frames, uint8 [T, H, W, 3]; None if the video is shown as it is."""


def changed_items(control: ControlName, items: Sequence[Item]) -> list[Changed]:
    """Return the items that a control (any but :data:`PAIRS`) applies to, changed; empty if the set lacks the diagnoses or sites it needs."""
    if control == "other-video":
        return _with_other_videos(items)
    changes: dict[str, Callable[[Item], Changed | None]] = {
        "blank": lambda item: Changed(item, lambda frames: np.full_like(frames, _WHITE)),
        "shuffled": lambda item: Changed(item, lambda frames: _shuffled(frames, _drawn(item.id))),
        "single-frame": lambda item: Changed(item, lambda frames: frames[len(frames) // 2, None]),
        "paraphrase": lambda item: Changed(item.model_copy(update={"question": paraphrased(item)})),
        "wrong-site": lambda item: _with_wrong_site(item, items),
        "stain": lambda item: Changed(item, one_colour),
    }
    return [changed for item in items if (changed := changes[control](item))]


def asking_changed(changed: Sequence[Changed], ask: AskSeveral, frames: int) -> AskSeveral:
    """Ask changed items. Their frames, ``frames`` of each clip, exist on disk while they are asked.

    A video that cannot be read gives an answer with an ``error``.
    """
    by_id = {one.item.id: one for one in changed}

    def ask_changed(items: Sequence[Item]) -> list[Answer]:
        failed: dict[str, Answer] = {}
        items_shown: list[Item] = []
        with ExitStack() as written:
            for item in items:
                try:
                    items_shown.append(written.enter_context(_shown(by_id[item.id], frames)))
                except InputError as error:
                    failed[item.id] = unanswered(item).model_copy(update={"error": str(error)})
            answers = {answer.id: answer for answer in ask(items_shown)} if items_shown else {}
        return [failed.get(item.id) or answers[item.id] for item in items]

    return ask_changed


def paraphrased(item: Item) -> str:
    """Return the question in other words: the set's own paraphrase, another usual opening, or the question in a frame of words."""
    if item.paraphrase:
        return item.paraphrase
    for opening, other in _OPENINGS:
        found, count = re.subn(rf"^{opening}", other, item.question, count=1, flags=re.IGNORECASE)
        if count:
            return found
    return f"Answer as a pathologist who looks at this video would: {item.question}"


def control_report(
    control: ControlName, system: SystemName, score: Sequence[Answer], under: Sequence[Answer], encode: Encode
) -> ControlReport:
    """Return the report of one control on one system.

    Args:
        control: The control.
        system: The system.
        score: Its answers to the whole set, without the control.
        under: Its answers under the control.
        encode: Texts → unit vectors, for similarity.
    """
    usual = {answer.id: answer for answer in score}
    before = [usual[answer.id] for answer in under]
    metric = "accuracy" if any(answer.truth for answer in under) else "similarity"
    by_texts = encode if metric == "similarity" else None
    first, second = table(before, by_texts), table(under, by_texts)
    draws = Draws(first.clusters)
    measure = BY_NAME[metric]
    rows = measure.rows(first)
    draws_of = {
        name: draw(measure, tables, rows, draws) for name, tables in (("score", first), ("under", second))
    }
    pairs = list(zip(before, under, strict=True))
    return ControlReport(
        control=control,
        system=system,
        metric=metric,
        questions=len(under),
        score=draws_of["score"].estimate(),
        under=draws_of["under"].estimate(),
        difference=draws_of["under"].minus(draws_of["score"]),
        same_answer=_share([same_answer(one, other) for one, other in pairs], first),
        declined=_share([bool(answer.error) or answer.abstained for answer in under], first),
    )


def same_answer(one: Answer, other: Answer) -> bool:
    """Return whether two answers name the same diagnosis, or are equal word for word if neither names one."""
    if one.error or other.error:
        return False
    return one.said == other.said if one.said or other.said else one.text == other.text


def rivals(items: Sequence[Item]) -> np.ndarray:
    """Return bool [n, n]: pairs of items of different groups whose diagnoses are neither synonyms nor parents of each other.

    If both name a site, it must be the same: a site in the question would tell the cases apart without the video.
    """
    names = sorted({item.diagnosis for item in items if item.diagnosis})
    apart = np.array([[not (credit(one, other) or credit(other, one)) for other in names] for one in names])
    site_of = {name: number for number, name in enumerate(names)}
    is_rival = np.zeros((len(items), len(items)), bool)
    known = [number for number, item in enumerate(items) if item.diagnosis]
    if known:
        of = [site_of[items[number].diagnosis or ""] for number in known]
        is_rival[np.ix_(known, known)] = apart[np.ix_(of, of)]
    for alike in ([item.cluster for item in items], [str(item.video) for item in items]):
        _, which = np.unique(alike, return_inverse=True)
        is_rival &= which[:, None] != which[None, :]
    sites, where = np.unique([item.site or "" for item in items], return_inverse=True)
    none = sites[where] == ""
    return is_rival & ((where[:, None] == where[None, :]) | none[:, None] | none[None, :])


@contextmanager
def _shown(changed: Changed, frames: int) -> Iterator[Item]:
    """Return the item with its frames in a folder of the video's name."""
    if changed.frames is None:
        yield changed.item
        return
    from PIL import Image

    clip = open_clip(changed.item.video, frames, writing="keep")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / changed.item.video.name
        folder.mkdir()
        for number, frame in enumerate(changed.frames(clip.frames)):
            Image.fromarray(frame).save(folder / f"{number:04d}.png", compress_level=1)
        yield changed.item.model_copy(update={"video": folder, "group": changed.item.cluster})


def _with_other_videos(items: Sequence[Item]) -> list[Changed]:
    """Return items with a rival's video; items without a rival are left out."""
    changed = []
    for item, row in zip(items, rivals(items), strict=True):
        others = np.flatnonzero(row)
        if len(others):
            other = items[_drawn(item.id).choice(others)]
            changed.append(Changed(item.model_copy(update={"video": other.video, "group": item.cluster})))
    return changed


def _with_wrong_site(item: Item, items: Sequence[Item]) -> Changed | None:
    """Return another site of the set, or any other site if the set has one only; None for an item without a site."""
    if item.site is None:
        return None
    sites = sorted({other.site for other in items if other.site} - {item.site}) or sorted(
        set(SITES) - {item.site}
    )
    wrong = sites[int(_drawn(item.id).integers(len(sites)))]
    names = "|".join(map(re.escape, sorted((item.site, *SITES.get(item.site, ())), key=len, reverse=True)))
    question = re.sub(rf"\b(?:{names})\b", wrong, item.question, flags=re.IGNORECASE)
    return Changed(item.model_copy(update={"site": wrong, "question": question}))


def _shuffled(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the frames in another order, if there are two or more."""
    order = rng.permutation(len(frames))
    if (order == np.arange(len(frames))).all():
        order = np.roll(order, 1)
    return frames[order]


def _drawn(name: str) -> np.random.Generator:
    """Return a generator seeded by the question, so that a resumed run draws the same."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))


def _share(hits: Sequence[bool], answers: Table) -> Estimate:
    return Estimate.of([float(hit) for hit in hits], answers.clusters.tolist())
