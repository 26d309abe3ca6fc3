"""What a model writes in the place of a diagnosis: one label, or nothing that is one; and which organ it names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.sites import SITES, canonical_site
from videopath.core.pathology.terms import names_disease, words_of
from videopath.model.prompts.questions import (
    DIAGNOSIS_START,
    RATIONALE_START,
    Evidence,
    describe_question,
    diagnose_question,
    one_prompt_question,
)
from videopath.model.prompts.template import without_marks

if TYPE_CHECKING:
    from videopath.model.inference.engine import Card

NO_DIAGNOSIS = "no diagnosis"
"""The label when the model wrote none and nothing else gives a candidate."""

_LONGEST = 120  # characters; what is longer is a sentence, not a diagnosis
_MARKS = re.compile(r"<\|?[^<>]{0,20}\|?>|\[/?\w{1,12}\]|\b(?:USER|ASSISTANT|SYSTEM)\s*:|^#+|[*`]+")
_START = re.compile(r"^(?:\W*\b(?:final\s+|the\s+)?(?:diagnosis|answer)\s*(?::|\bis\b))+\s*", re.IGNORECASE)
_LETTERS = re.compile(r"[^\W\d_]{2}")
_STUTTER = re.compile(r"(.)\1{3}|\b(\w{3,}?)\2+\b")
_REFUSALS = frozenset(
    ("yes", "no", "none", "unknown", "uncertain", "unclear", "unsure", "n/a", "na", "not applicable", "not sure", "maybe")
    + ("undetermined", "no answer", "not available", "not specified", "cannot be determined", "null", "true", "false")
)  # fmt: skip
_QUESTIONS = (
    describe_question(None),
    one_prompt_question(None),
    diagnose_question(None, "", [Evidence("", "")]),
)
_ASKED = frozenset(
    words_of(" ".join((*_QUESTIONS, DIAGNOSIS_START, RATIONALE_START)))
    + ["user", "assistant", "system", "image", "video", "im", "start", "end", "endoftext", "question", "final", "a", "an"]
    + ["of", "it", "picture", "slide", "helpful", "you", "are"]
    + [word for site, others in SITES.items() for name in (site, *others) for word in words_of(name)]
)  # fmt: skip
"""Words of the agent's own questions, sites included: a label of nothing else is an echo of them."""


def clean_label(text: str, question: str | None = None) -> str:
    """A diagnosis as one line of printable text; empty where the text is none.

    None is: what is too long, repeats itself, holds no letters, or only gives back what was asked: the template's
    marks, the words of the agent's questions, a part of the user's own ``question``.
    """
    bare = _MARKS.sub(" ", without_marks(text))
    label = " ".join("".join(c if c.isprintable() else " " for c in bare).split())
    label = _START.sub("", label).strip(" :;,-–")
    return "" if len(label) > _LONGEST or _is_none(label, question) else label


def is_in_vocabulary(label: str, card: Card) -> bool:
    """Whether a model may mean a label: it was trained to write it, or its card does not say what it was trained to write.

    A small model mixes words: "malignant tumour of the cell carcinoma" is no candidate.
    """
    listed = [*(label for labels in card.labels.values() for label in labels), *card.vocabulary]
    return not card.vocabulary or normalised_label(label) in {
        normalised_label(one) for one in (*listed, card.unknown_label or "")
    }


def is_of_other_organ(label: str, site: str | None, card: Card) -> bool:
    """Whether a label names an organ, and not the one of ``site``. A metastasis may be anywhere."""
    if (
        not site
        or normalised_label(label) == normalised_label(card.unknown_label or "")
        or _is_anywhere(label)
    ):
        return False
    named = sites_of(label, card)
    return bool(named) and not any(_are_near(canonical_site(site), other) for other in named)


def sites_of(label: str, card: Card) -> list[str]:
    """The sites that a label belongs to by the card or by its own words; empty where neither names one."""
    label = normalised_label(label)
    named = label.rpartition(" of the ")[2]
    if named in SITES:
        return [named]
    listed = [site for site, labels in card.labels.items() if label in map(normalised_label, labels)]
    return listed or _organs_in(label)


def _is_none(label: str, question: str | None) -> bool:
    words = words_of(label)
    return (
        not _LETTERS.search(label)
        or normalised_label(label) in _REFUSALS
        or bool(_STUTTER.search(label.casefold()))
        or _repeats(words)
        or set(words) <= _ASKED
        or _echoes(label, question)
    )


def _repeats(words: list[str]) -> bool:
    """Whether one or two words stand twice in a row, or few words fill a long text."""
    runs = any(
        words[i : i + n] == words[i + n : i + 2 * n] for n in (1, 2) for i in range(len(words) - 2 * n + 1)
    )
    whole = any(words == words[:n] * (len(words) // n) for n in range(1, len(words) // 2 + 1))
    return runs or whole or (len(words) > 6 and len(set(words)) <= len(words) / 2)


def _echoes(label: str, question: str | None) -> bool:
    """Whether a label is a part of the question. "Is this a chordoma?" may be answered with one."""
    asked, said = (f" {' '.join(words_of(text))} " for text in (question or "", label))
    return said in asked and not names_disease(label)


_ORGANS = {
    "adrenal gland": "adrenal adrenocortical", "appendix": "appendiceal appendix", "bladder": "bladder",
    "brain": "brain cerebral cerebellar intracranial", "breast": "breast mammary", "cervix": "cervix endocervical ectocervical",
    "colon": "colon colonic colorectal sigmoid", "duodenum": "duodenum duodenal", "endometrium": "endometrium endometrial",
    "esophagus": "esophagus esophageal", "gallbladder": "gallbladder", "heart": "heart myocardial",
    "kidney": "kidney renal", "larynx": "larynx laryngeal", "liver": "liver hepatic hepatocellular", "lung": "lung pulmonary",
    "oral cavity": "oral tongue", "ovary": "ovary ovarian", "pancreas": "pancreas pancreatic", "parathyroid": "parathyroid",
    "pituitary": "pituitary", "placenta": "placenta placental", "prostate": "prostate prostatic", "rectum": "rectum rectal",
    "salivary gland": "salivary parotid", "skin": "skin cutaneous", "small intestine": "jejunum jejunal ileum ileal",
    "spleen": "spleen splenic", "stomach": "stomach gastric", "testis": "testis testicular", "thymus": "thymus thymic",
    "thyroid": "thyroid", "vagina": "vagina vaginal", "vulva": "vulva vulvar",
}  # fmt: skip
"""Site → words of a diagnosis that place it there. Tissue that is everywhere (bone, nerve, fat, lymph node) is not here."""
_ORGAN_OF = {word: site for site, words in _ORGANS.items() for word in words.split()}
_ANYWHERE = (
    "metasta",
    "secondary",
    "ectopic",
    "heterotopi",
    "choristoma",
    "invading",
    "involving",
    "involvement",
)
_KIN = (
    {"colon", "rectum", "appendix"}, {"small intestine", "duodenum"}, {"ovary", "fallopian tube", "peritoneum"},
    {"brain", "meninges", "pituitary"}, {"esophagus", "stomach"}, {"lung", "pleura"}, {"skin", "vulva"},
    {"liver", "bile duct", "gallbladder"}, {"pancreas", "bile duct", "duodenum"}, {"endometrium", "cervix", "vagina"},
    {"oral cavity", "pharynx", "larynx", "nose", "salivary gland"}, {"peritoneum", "omentum"}, {"kidney", "retroperitoneum"},
    {"thymus", "mediastinum"}, {"adrenal gland", "retroperitoneum"},
)  # fmt: skip
"""Sites that share diagnoses, or whose names are used for one another."""


def _organs_in(label: str) -> list[str]:
    return list(dict.fromkeys(_ORGAN_OF[word] for word in words_of(label) if word in _ORGAN_OF))


def _is_anywhere(label: str) -> bool:
    return any(part in label.casefold() for part in _ANYWHERE)


def _are_near(one: str, other: str) -> bool:
    return one == other or any({one, other} <= kin for kin in _KIN)
