"""The words of one clip: its title card, and the sentences that are spoken while it is seen and shortly around.

A lecture goes from case to case, and a sentence about another case would give this clip a wrong diagnosis. Words are
therefore taken from between the cards around the clip's case only, and sentences that name another case are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from videopath.core.privacy.personal import screened_text
from videopath.dataset.records import Cue, RefinedClip, Segment, Segments, Transcript

_AROUND = {"case video": 10.0, "keyframe clip": 3.0}
"""Seconds before and after a clip whose words still belong to it."""
_PAUSE = 1.5  # seconds between two cues that end a sentence which has no full stop
_LONGEST = 50  # words of a sentence that has no full stop
_BOTH_SIDES = 0.8  # seconds of a sentence on both sides of a cut, from which it belongs to neither
_END = re.compile(r"(?<=[.!?…])[\"')\]]*\s+")
_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh", "twelfth",
)  # fmt: skip
_THING = r"(?:cases?|patients?|unknowns?|specimens?|examples?)"
_OTHER = re.compile(
    rf"\b(?:next|previous|preceding|earlier|other|another|following|last|upcoming)\s+(?:\w+\s+)?{_THING}\b"
    r"|\b(?:next|previous)\s+(?:one|lecture|video|session)\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    rf"\b(?:case|patient|unknown)\s*(?:number|no\.?|nr\.?|#)?\s*(\d{{1,3}}|{'|'.join(_NUMBERS)})\b"
    rf"|\b({'|'.join(_ORDINALS)})\s+(?:\w+\s+)?(?:case|patient|unknown)\b",
    re.IGNORECASE,
)
_COMPARED = re.compile(
    rf"^\W*(?:(?:and|but|so|now)\s+)?(?:unlike|in contrast to|as opposed to|compared\s+(?:to|with)|different(?:ly)?\s+from|as in|like)"
    rf"(?:\s+in)?\s+(?:the|our|that)\s+(?:previous|preceding|earlier|last|first|other)\s+(?:{_THING}|one)"
    r"(?:\s*,\s*|\s+(?=(?:this|these|here|it|there|we|you|the|now)\b))",
    re.IGNORECASE,
)
"""A comparison that begins a sentence about this case: "Unlike the previous case, this is …"."""
_ANSWER_CARD = re.compile(r"^\W*(?:the\s+|final\s+|correct\s+)*(?:diagnosis|answer|dx)\b", re.IGNORECASE)
_TITLE_CASE = re.compile(
    rf"\b(?:case|patient|unknown)\s*(?:number|no\.?|nr\.?|#)?\s*(?:\d{{1,3}}|{'|'.join(_NUMBERS)})\b\s*[:.\-–—)]*\s*",
    re.IGNORECASE,
)
_HISTORY = re.compile(
    r"\b\d{1,3}[\s-]*(?:year|yr|y/?o\b|month|week|day)|\b(?:years?|months?)[\s-]old\b"
    r"|\b(?:man|woman|male|female|boy|girl|infant|newborn|child|lady|gentleman)\b"
    r"|\bhistory\b|\bpresent(?:s|ed|ing)\b|\bcomplain",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ClipWords:
    """What is said and shown in words about a clip's case."""

    title: str = ""
    """The title card, without what it says about another case."""
    sentences: tuple[Cue, ...] = ()
    """What is spoken, in order; seconds count from the clip's beginning, so they may be negative."""
    unclear: tuple[Cue, ...] = ()
    """Sentences that may be about another case. No model is shown them."""
    answer_cards: tuple[str, ...] = ()
    """Cards that follow the case and state its diagnosis."""
    ambiguous: tuple[str, ...] = ()
    """Lines of cards that may be about another case: an answer, or a lecture's title before "Case 1". No model is shown
    them."""

    @property
    def spoken(self) -> list[str]:
        """The spoken sentences without their times."""
        return [sentence.text for sentence in self.sentences]

    @property
    def cards(self) -> list[str]:
        """The texts of all cards of the case."""
        return [card for card in (self.title, *self.answer_cards) if card]


def words_of_clip(clip: RefinedClip, transcript: Transcript, segments: Segments) -> ClipWords:
    """Return the words of a clip.

    Args:
        clip: The clip.
        transcript: All words of its recording.
        segments: The recording's cuts, which say where other cases begin.
    """
    first, last = _case_span(clip, segments)
    after = [card for card in _cards(segments) if card.start >= last - 1e-6]
    low, high = _territory(clip, segments, first, last)
    around = _AROUND[clip.product]
    window = max(low, clip.start - around), min(high, clip.end + around)
    own = _own_numbers(clip)
    clear, unclear = list[Cue](), list[Cue]()
    for cue in timed_sentences(transcript.cues, [low, high]):
        if window[0] <= (cue.start + cue.end) / 2 <= window[1]:
            text = _COMPARED.sub("", cue.text)
            is_clear = not _lies_on_both_sides(cue, (low, high)) and not names_other_case(text, own)
            sentence = Cue(
                start=round(cue.start - clip.start, 2),
                end=round(cue.end - clip.start, 2),
                text=text if is_clear else cue.text,
            )
            (clear if is_clear else unclear).append(sentence)
    title = screened_text(clip.title).text  # a card may name the patient
    lines = [line for line in _title_lines(title) if not names_other_case(line, own)]
    had_case_before = any(
        segment.kind == "slide" and segment.case != clip.case and segment.start < first
        for segment in segments.segments
    )
    of_lecture = next((number for number, line in enumerate(lines) if _TITLE_CASE.match(line)), 0)
    doubtful = [
        line
        for number, line in enumerate(lines)
        if number < of_lecture or (had_case_before and _ANSWER_CARD.match(line))
    ]
    return ClipWords(
        title=" · ".join(line for line in lines if line not in doubtful),
        sentences=tuple(clear),
        unclear=tuple(unclear),
        answer_cards=tuple(
            screened_text(card.title).text
            for card in after
            if card.end <= high + 1e-6 and _ANSWER_CARD.match(card.title)
        ),
        ambiguous=tuple(doubtful),
    )


def spoken_within(words: ClipWords, clip: RefinedClip) -> list[str]:
    """Return the sentences that are spoken in the clip's own seconds."""
    seconds = clip.end - clip.start
    return [cue.text for cue in words.sentences if 0 <= (cue.start + cue.end) / 2 <= seconds]


def history_of(title: str) -> str:
    """Return what a title card says about the patient: what follows "Case 2:", or a line with an age or a complaint."""
    marks = list(_TITLE_CASE.finditer(title))
    if marks:
        rest = title[marks[-1].end() :].split(" · ")
        parts = [part for part in rest if part.strip()]
    else:
        parts = [part for part in title.split(" · ") if _HISTORY.search(part)]
    return "; ".join(part.strip(" .,;:-–—") for part in parts)


def speaks_of_history(text: str) -> bool:
    """Return whether a text tells an age, a sex, a complaint or a history."""
    return bool(_HISTORY.search(text))


def timed_sentences(cues: Sequence[Cue], breaks: Sequence[float] = ()) -> list[Cue]:
    """Return the sentences of cues, each with its time, estimated by its place in its cues.

    Args:
        cues: The cues in order. A sentence may run over several of them.
        breaks: Moments at which a sentence without a full stop ends.
    """
    return [sentence for group in _groups(cues, breaks) for sentence in _sentences(group)]


def names_other_case(text: str, own: Sequence[int] | frozenset[int]) -> bool:
    """Return whether a sentence speaks of another case than those with the numbers ``own``."""
    if _OTHER.search(text):
        return True
    return any(_number(match[1] or match[2]) not in own for match in _NUMBERED.finditer(text))


def _own_numbers(clip: RefinedClip) -> frozenset[int]:
    """Return the numbers that mean the clip's case: that of the build, and that of its card, which may differ."""
    own_card = [_number(match[1] or match[2]) for match in _NUMBERED.finditer(clip.title)]
    return frozenset(own_card[-1:] or [clip.case])


def _number(word: str) -> int:
    word = word.casefold()
    for names in (_NUMBERS, _ORDINALS):
        if word in names:
            return names.index(word) + 1
    return int(word)


def _title_lines(title: str) -> list[str]:
    """Return the lines of a card; "Case 2" begins a new one if the card was read as a single line."""
    lines = []
    for line in re.split(r"\s*(?:\n|\||·|\s/\s)\s*", title):
        starts = [0, *(match.start() for match in _TITLE_CASE.finditer(line) if match.start() > 0), len(line)]
        lines += [line[a:b].strip() for a, b in zip(starts, starts[1:], strict=False)]
    return [" ".join(line.split()) for line in lines if line.strip()]


def _cards(segments: Segments) -> list[Segment]:
    return [segment for segment in segments.segments if segment.kind == "title card"]


def _case_span(clip: RefinedClip, segments: Segments) -> tuple[float, float]:
    own = [segment for segment in segments.slides if segment.case == clip.case]
    starts = [segment.start for segment in own] or [clip.start]
    ends = [segment.end for segment in own] or [clip.end]
    return min(*starts, clip.start), max(*ends, clip.end)


def _territory(clip: RefinedClip, segments: Segments, first: float, last: float) -> tuple[float, float]:
    """Return the seconds in which a recording is about the clip's case: from its card to the next card."""
    others = [segment for segment in segments.slides if segment.case != clip.case]
    before = max((segment.end for segment in others if segment.end <= first + 1e-6), default=None)
    after = min((segment.start for segment in others if segment.start >= last - 1e-6), default=math.inf)
    low = 0.0
    if before is not None:
        opening = [
            card.start
            for card in _cards(segments)
            if card.start >= before - 1e-6 and card.end <= first + 1e-6 and not _ANSWER_CARD.match(card.title)
        ]
        low = min(opening, default=first)
    closing = [
        card.start
        for card in _cards(segments)
        if last - 1e-6 <= card.start < after and not _ANSWER_CARD.match(card.title)
    ]
    return low, min([*closing, after])


def _lies_on_both_sides(cue: Cue, cuts: Sequence[float]) -> bool:
    return any(
        cue.start < cut - _BOTH_SIDES and cue.end > cut + _BOTH_SIDES
        for cut in cuts
        if math.isfinite(cut) and cut > 0
    )


def _groups(cues: Sequence[Cue], breaks: Sequence[float]) -> Iterator[list[Cue]]:
    """Yield runs of cues that may share a sentence."""
    group: list[Cue] = []
    for cue in cues:
        if not cue.text.strip():
            continue
        if group and (
            cue.start - group[-1].end > _PAUSE
            or group[-1].text.rstrip().endswith((".", "!", "?", "…"))
            or any(group[-1].start < moment <= cue.start for moment in breaks)
            or sum(len(one.text.split()) for one in group) > _LONGEST
        ):
            yield group
            group = []
        group.append(cue)
    if group:
        yield group


def _sentences(group: Sequence[Cue]) -> Iterator[Cue]:
    text, marks = "", []
    for cue in group:
        words = " ".join(cue.text.split())
        start = len(text) + bool(text)
        text = f"{text} {words}" if text else words
        marks += [(start, cue.start), (len(text), cue.end)]
    begin = 0
    for end, following in [*((m.start(), m.end()) for m in _END.finditer(text)), (len(text), len(text))]:
        if text[begin:end].strip():
            yield Cue(start=_second(marks, begin), end=_second(marks, end), text=text[begin:end].strip())
        begin = following


def _second(marks: Sequence[tuple[int, float]], position: int) -> float:
    """Return the second of a character, between the known seconds before and after it."""
    before = max((mark for mark in marks if mark[0] <= position), key=lambda mark: mark[0], default=marks[0])
    after = min((mark for mark in marks if mark[0] >= position), key=lambda mark: mark[0], default=marks[-1])
    if after[0] == before[0]:
        return before[1]
    return before[1] + (after[1] - before[1]) * (position - before[0]) / (after[0] - before[0])
