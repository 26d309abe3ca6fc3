"""What the words about a clip give away: the diagnosis, other stains and tests, the history.

A model is asked to list it, but is not relied on. What is found here is marked whatever the model says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from videopath.core.pathology.entities import entity_of, find_diagnosis, named_entities, parents_of
from videopath.core.pathology.sites import SITES
from videopath.core.pathology.terms import is_term, names_disease, words_of
from videopath.dataset.instructions.words import ClipWords, history_of, speaks_of_history

MAX_GIVEN_AWAY = 12
_QUOTED = 240  # characters of a sentence that is quoted

_VISIBLE_WORDS = """
normal benign malignant healthy reactive negative unremarkable tissue mucosa epithelium gland field smear marrow
parenchyma cytology pattern process condition finding change lesion disease disorder abnormality anomaly syndrome
inflammation necrosis fibrosis hemorrhage infiltrate infiltration atypia edema cyst nodule plaque proliferation stroma
scar ulcer ulceration erosion congestion invasion mesenchyme granulation calcification pathology bleeding atrophy
dilatation deposit deposition defect damage injury reaction regeneration repair collection pregnancy acinarization
obstruction trauma tumor mass bulla papule a metaplasia granuloma abscess cryptitis thrombus hyperkeratosis
parakeratosis acanthosis spongiosis calcinosis gliosis
"""
_VISIBLE = frozenset(_VISIBLE_WORDS.split())
"""Words of diagnoses that also describe what a picture shows; alone they give no diagnosis away."""
_JOINING_WORDS = "a an and as at by for from in into no not of on or the to type with without nos"
_JOINING = frozenset(_JOINING_WORDS.split())
_NOT_IN_NAMES = frozenset(
    ("is", "was", "this", "it", "that", "these", "here", "see", "show", "shows", "case", "patient")
)
_CLAUSE_END = re.compile(r"[.,;:!?()]+(?:\s+|$)")
_LEAST_PART = 6  # letters of a disease word that ends another one: "carcinoma" in "adenocarcinoma"
_TESTS = re.compile(
    r"\bimmuno\w*|\bIHC\b|\bin situ hybridi\w*|\bFISH\b|\bCISH\b|\bPCR\b|\bflow cytometry\b|\bsequencing\b|\bmutat\w+"
    r"|\b(?:translocation|rearrange\w*|amplification|karyotyp\w*)\b"
    r"|\b(?:special |trichrome |silver |congo red |gram |giemsa |reticulin |iron |mucicarmine |alcian blue )stain\w*"
    r"|\b(?:PAS|PASD|GMS|AFB|Ziehl\W?Neelsen|Masson|Perls|Prussian blue|Congo red|Alcian blue|reticulin|mucicarmine|Grocott)\b"
    r"|\b(?:CD|CK|MUC|SOX|PAX|GATA|HMB|TTF|SATB|NKX|DOG|BCL|p)-?\d{1,3}[a-z]?\b|\bKi-?67\b|\bHER-?2\b"
    r"|\b(?:E-cadherin|beta-catenin|synaptophysin|chromogranin|calretinin|desmin|vimentin|S-?100|melan-?A|PSA|WT-?1|CDX-?2|cyclin D1"
    r"|(?:estrogen|progesterone) receptors?|cytokeratins?|keratin (?:positive|negative)|ER (?:and|/) ?PR)\b",
    re.IGNORECASE,
)


def gives_diagnosis_away(label: str, text: str) -> bool:
    """Return whether a text names a diagnosis, or a wider or narrower one, whether it affirms or denies it.

    Args:
        label: The diagnosis.
        text: A sentence of the narrator, or the text of a card.
    """
    entity = _entity(label)
    if entity is not None and any(_related(entity, named) for named in named_entities(text)):
        return True
    names, spoken = _content(label), _based(text)
    if names and names <= spoken:
        return True
    own = {word for word in names if _is_telling(word)}
    return any(_same_disease(one, word) for one in own for word in spoken)


def names_diagnosis(text: str) -> bool:
    """Return whether a text names any diagnosis."""
    if find_diagnosis(text):
        return True
    return any(_is_telling(word) for word in words_of(text))


def named_diagnosis(text: str) -> str:
    """Return the words of the first diagnosis that a text names, such as "lobular carcinoma"; empty if it names none.

    It is a suggestion for a person: the words around a disease that may occur in the name of a diagnosis.
    """
    for clause in _CLAUSE_END.split(text):
        parts = [part for part in clause.split() if words_of(part)]
        known = [is_term(part) and not set(words_of(part)) & (_JOINING | _NOT_IN_NAMES) for part in parts]
        for place, part in enumerate(parts):
            if any(_is_telling(word) for word in words_of(part)):
                first, last = place, place + 1
                while first > 0 and known[first - 1]:
                    first -= 1
                while last < len(parts) and known[last]:
                    last += 1
                return " ".join(parts[first:last])
    return ""


def names_test(text: str) -> bool:
    """Return whether a text tells the result of another stain or test than the one in the picture."""
    return bool(_TESTS.search(text))


def given_away(label: str, words: ClipWords, question: str, by_model: Iterable[str] = ()) -> tuple[str, ...]:
    """Return what the words say about a case that its picture alone does not show.

    Args:
        label: The diagnosis of the case; empty if there is none.
        words: The words of the clip.
        question: The question; what it tells itself is not given away.
        by_model: What the model itself marked.
    """
    sources = [("the narrator", text) for text in (*words.spoken, *(cue.text for cue in words.unclear))]
    sources += [("the title card", text) for text in (*words.cards, *words.ambiguous)]
    marks = [
        f'{what}, by {who}: "{_shortened(text)}"'
        for what, is_one in (
            ("diagnosis", lambda text: bool(label) and gives_diagnosis_away(label, text)),
            ("another stain or test", names_test),
            (
                "history",
                lambda text: speaks_of_history(text) and not _stands_in(history_of(text) or text, question),
            ),
        )
        for who, text in sources
        if is_one(text)
    ]
    own = [text for text in by_model if not _stands_in(text, question)]
    return tuple(dict.fromkeys((*marks, *own)))[:MAX_GIVEN_AWAY]


def rests_on_words(answer: str, label: str, marks: Sequence[str]) -> bool:
    """Return whether a description says what only the words gave away: the diagnosis, a test, the history."""
    if (label and gives_diagnosis_away(label, answer)) or names_test(answer) or speaks_of_history(answer):
        return True
    return any(len(_content(mark)) > 1 and _stands_in(mark, answer, least=0.6) for mark in marks)


def _entity(label: str) -> str | None:
    return entity_of(label) or find_diagnosis(label) or None


def _related(entity: str, named: str) -> bool:
    return entity == named or entity in parents_of(named) or named in parents_of(entity)


def _content(text: str) -> set[str]:
    """Return the words of a text that mean something, in their base form, without organs."""
    return {_base(word) for word in words_of(text) if word not in _JOINING and word not in _site_words()}


def _based(text: str) -> set[str]:
    return {_base(word) for word in words_of(text)}


def _base(word: str) -> str:
    """Return a word without the ending of the plural. It may not be a word; both sides are treated alike."""
    for end, instead in (("'s", ""), ("mata", "ma"), ("ies", "y"), ("ses", "s"), ("ae", "a"), ("s", "")):
        if word.endswith(end) and len(word) > len(end) + 2:
            return word[: -len(end)] + instead
    return word


def _is_telling(word: str) -> bool:
    whole = (word, f"{word}s")  # the base form of "appendicitis" has lost its last letter
    return any(names_disease(one) for one in whole) and not {*whole, _base(word)} & _VISIBLE


def _same_disease(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    return (
        len(short) >= _LEAST_PART and _is_telling(short) and (long.endswith(short) or long.startswith(short))
    )


def _stands_in(text: str, other: str, *, least: float = 1.0) -> bool:
    """Return whether the words of a text stand in another one, or at least the share ``least`` of them."""
    words = _content(text)
    return bool(words) and len(words & _based(other)) >= least * len(words)


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1].rstrip() + "…"


@cache
def _site_words() -> frozenset[str]:
    return frozenset(
        word for site, others in SITES.items() for name in (site, *others) for word in words_of(name)
    )
