"""The check of a set before it is written: what is left out of it, and what a reader should know of the rest.

A reason never repeats what it is about, since it may be a person's data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from videopath.core.choices import FindingKind
from videopath.core.files import sha256_file
from videopath.core.pathology.entities import entity_of, find_diagnosis
from videopath.core.pathology.sites import SITES
from videopath.core.privacy.personal import personal_reasons
from videopath.core.text import has_half_characters
from videopath.dataset.finishing.duplicates import NearDuplicate, near_duplicates
from videopath.dataset.finishing.language import language_of
from videopath.dataset.finishing.material import Candidate, Material
from videopath.dataset.records import StageRecord
from videopath.dataset.set_folder import SetFolder
from videopath.model.prompts.template import without_marks

LEAST_WORDS = 3
"""Words of a description at least; a diagnosis needs one."""
MOST_WORDS = 400
"""Words of an answer at most."""

_REPEATED_WORDS = 8  # shorter answers, such as a diagnosis, repeat by nature
_LEAST_LETTERS = 4  # of a word that can give a diagnosis away
_FIRST_OPTION = re.compile(r"(?:^|\s)\(?A[).]\s.*?\s\(?B[).]\s", re.DOTALL)
_UNTELLING = {
    "benign", "malignant", "tissue", "normal", "tumour", "tumor", "lesion", "disease", "change", "changes", "without",
    "with", "cell", "cells", "type", "grade", "high", "from", "this", "that", "case", "other", "unknown",
}  # fmt: skip
"""Words of diagnoses that a question may have without giving the answer away."""
_NEGATIVES = {"benign", "normal", "unremarkable", "negative", "no", "without"}
_SITE_WORDS = frozenset(
    word for site, others in SITES.items() for name in (site, *others) for word in name.split()
)
_OF_THE_WORDS = re.compile(
    r"\b(?:narrator|speaker|lecturer|presenter|transcript|subtitles?|voice-?over|title card|caption (?:says|reads)"
    r"|as (?:was )?(?:said|mentioned|stated|told)|according to the (?:video|audio|label|title))\b",
    re.IGNORECASE,
)


class Finding(StageRecord):
    """Something that the check found."""

    kind: FindingKind
    outcome: Literal["left out", "noted"]
    recording: str = Field(description="id of the recording")
    subject: str = Field(description="id of the pair or of the clip")
    reason: str = Field(description="a sentence that never repeats the text")


@dataclass(frozen=True)
class Checked:
    """What passed the check, and what it found."""

    pairs: list[Candidate]
    findings: list[Finding]
    duplicates: list[NearDuplicate]
    language: str
    """ISO 639-1 code of most answers; empty if it is not known."""

    @property
    def left_out(self) -> dict[str, int]:
        """How many pairs were left out, by the first reason."""
        first = {(f.recording, f.subject): f.kind for f in reversed(self.findings) if f.outcome == "left out"}
        return dict(sorted(Counter(first.values()).items()))

    @property
    def noted(self) -> dict[str, int]:
        """How many findings do not keep a pair out, by kind."""
        return dict(sorted(Counter(f.kind for f in self.findings if f.outcome == "noted").items()))


def check(material: Material, folder: SetFolder) -> Checked:
    """Check all finished pairs and clips.

    Args:
        material: The results of the stages before.
        folder: The set's folder, which the clips are read from.

    Raises:
        InputError: A fingerprint is damaged.
    """
    clip_findings = {finding.subject: finding for finding in _clip_findings(material, folder)}
    labels = _labels_by_case(material)
    findings: list[Finding] = [
        Finding(
            kind="missing clip",
            outcome="left out",
            recording=recording.id,
            subject=pair.id,
            reason="Its clip is not in the set any more: the cuts were changed after it was written.",
        )
        for recording, pair in material.orphans
    ]
    kept, ids = [], set[str]()
    for candidate in material.candidates:
        of_case = labels.get((candidate.recording.id, candidate.clip.case), [])
        reasons = list(_reasons(candidate, of_case, ids))
        if candidate.clip.id in clip_findings:
            finding = clip_findings[candidate.clip.id]
            reasons.insert(0, (finding.kind, finding.reason))
        findings += [_finding(kind, "left out", candidate, reason) for kind, reason in reasons]
        if not reasons:
            kept.append(candidate)
            ids.add(candidate.pair.id)
    used = {(candidate.recording.id, candidate.clip.id) for candidate in material.candidates}
    findings += [f for f in clip_findings.values() if (f.recording, f.subject) not in used]
    language = _language(kept)
    duplicates = near_duplicates(material.clips)
    findings += [*_notes_on_texts(kept, language), *_notes_on_duplicates(duplicates)]
    return Checked(kept, findings, duplicates, language)


def _finding(
    kind: FindingKind, outcome: Literal["left out", "noted"], candidate: Candidate, reason: str
) -> Finding:
    return Finding(
        kind=kind,
        outcome=outcome,
        recording=candidate.recording.id,
        subject=candidate.pair.id,
        reason=reason,
    )


def _reasons(candidate: Candidate, labels: list[str], ids: set[str]) -> Iterator[tuple[FindingKind, str]]:
    """Yield why a pair cannot be part of the set."""
    pair = candidate.pair
    personal = dict.fromkeys(reason for text in candidate.texts for reason in personal_reasons(text))
    if personal:
        yield "personal data", f"A text of it has {', '.join(personal)}."
    if any(has_half_characters(text) or "\0" in text for text in candidate.texts):
        yield "text", "A text of it has a character that is not valid text."
    if any(without_marks(text) != text for text in candidate.texts):
        yield "special token", "A text of it has a special token of the chat template."
    if pair.id in ids:
        yield "repeated", "Another pair has the same id."
    if not pair.question.strip():
        yield "length", "Its question is empty."
    yield from _wrong_length(candidate)
    if gives_away(pair.question, labels):
        yield "leakage", "Its question names the diagnosis of its case."


def _wrong_length(candidate: Candidate) -> Iterator[tuple[FindingKind, str]]:
    words = re.findall(r"\w*[^\W\d_]\w*", candidate.answer)
    if candidate.pair.about == "description" and len(words) < LEAST_WORDS:
        yield "length", f"Its answer has fewer than {LEAST_WORDS} words."
    if candidate.pair.about == "diagnosis" and not candidate.diagnosis:
        yield "length", "Its answer names no diagnosis."
    if len(words) > MOST_WORDS:
        yield "length", f"Its answer has more than {MOST_WORDS} words."


def gives_away(question: str, labels: list[str]) -> bool:
    """Return whether a question names one of the diagnoses. Options of a multiple choice do not count.

    Args:
        question: The question.
        labels: The diagnoses of the case, as its answers name them.
    """
    options = _FIRST_OPTION.search(question)
    stem = question[: options.start()] if options else question
    words, named = _words(stem), find_diagnosis(stem)
    return any(_names(label, words, named, f" {' '.join(words)} ") for label in labels)


def _names(label: str, words: list[str], named: str, phrase: str) -> bool:
    """Return whether words name a diagnosis: as an entity, by all its telling words, or as a phrase.

    A negative word counts as well, since "normal epithelium" says more than "epithelium". "Normal" alone gives nothing
    away: it may be one of two choices.
    """
    own = _words(label)
    telling = {
        word
        for word in own
        if len(word) >= _LEAST_LETTERS and word not in _UNTELLING and word not in _SITE_WORDS
    }
    if not telling:
        return len(own) > 1 and f" {' '.join(own)} " in phrase
    return bool(named and named == entity_of(label)) or telling | (_NEGATIVES & {*own}) <= {*words}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _labels_by_case(material: Material) -> dict[tuple[str, int], list[str]]:
    labels: dict[tuple[str, int], list[str]] = {}
    for candidate in material.candidates:
        if candidate.diagnosis:
            labels.setdefault((candidate.recording.id, candidate.clip.case), []).append(candidate.diagnosis)
    return labels


def _clip_findings(material: Material, folder: SetFolder) -> Iterator[Finding]:
    for recording, clip in material.clips:
        file = folder.path / clip.file
        kind: FindingKind
        if not file.is_file():
            kind, reason = "missing clip", "Its clip is missing."
        elif sha256_file(file) != clip.sha256:
            kind, reason = "changed clip", "Its clip was changed after it was refined."
        else:
            continue
        yield Finding(
            kind=kind,
            outcome="left out",
            recording=recording.id,
            subject=clip.id,
            reason=f"{reason} Run `videopath dataset build … --from clips`.",
        )


def _language(candidates: list[Candidate]) -> str:
    languages = Counter(language_of(candidate.answer) for candidate in candidates)
    del languages[""]
    return min(languages, key=lambda code: (-languages[code], code)) if languages else ""


def _notes_on_texts(candidates: list[Candidate], language: str) -> Iterator[Finding]:
    first: dict[str, Candidate] = {}
    for candidate in candidates:
        own = language_of(candidate.answer)
        if own and own != language:
            yield _finding(
                "language", "noted", candidate, f"Its answer is in {own!r}, most others in {language!r}."
            )
        if candidate.pair.blind and _OF_THE_WORDS.search(candidate.answer):
            yield _finding(
                "words",
                "noted",
                candidate,
                "It is marked as blind, but its answer speaks of the narrator or a title.",
            )
        text = " ".join(_words(candidate.answer))
        if len(text.split()) < _REPEATED_WORDS:
            continue
        before = first.setdefault(text, candidate)
        if (before.recording.id, before.clip.case) != (candidate.recording.id, candidate.clip.case):
            yield _finding(
                "repeated", "noted", candidate, f"Its answer is that of {before.pair.id} word for word."
            )


def _notes_on_duplicates(duplicates: list[NearDuplicate]) -> Iterator[Finding]:
    for pair in duplicates:
        other = (
            f"another recording, {pair.recordings[1]}; both are on one side of the split"
            if pair.recordings[0] != pair.recordings[1]
            else "the same recording"
        )
        yield Finding(
            kind="near-duplicate",
            outcome="noted",
            recording=pair.recordings[0],
            subject=pair.one.id,
            reason=f"{pair.share:.0%} of its frames are nearly those of {pair.other.id} of {other} "
            f"({pair.bits} of 256 bits differ).",
        )
