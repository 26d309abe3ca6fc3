"""Sentences by which a model says that it does not know. They describe no tissue and never become knowledge."""

from __future__ import annotations

import re

from videopath.core.pathology.labels import normalised_label
from videopath.tools.describe import split_sentences

_NOT = r"(?:not|never|no|none|nor|nothing|cannot|unable|unknown|unfamiliar|unsure|uncertain|outside|without|unlike|new|\w+n['’]t)"
_MACHINE = r"(?:(?:the|this|any|our|my|an?) (?:model|network|algorithm|assistant|classifier|ai)(?!-)\b)"
_TAUGHT = r"(?:training|trained|learned|learnt)"
_KNOW = (
    r"(?:know|known|recogni[sz]ed?|identif(?:y|ied)|diagnosed?|classif(?:y|ied)|determined?|match(?:es|ed)?|"
    r"provided?|given?|made?|answer(?:ed)?|tell|say|seen|assess(?:ed)?|interpret(?:ed)?)"
)
_NAMED = r"(?:tissue|organ|specimen|sample|slide|image|picture|video|pattern|diagnosis|disease|lesion|entity|label|category|class)"
_OPEN = r"(?:not known|unknown|unclear|uncertain|undetermined|indeterminate|inconclusive|unidentified|unrecogni[sz]ed|unfamiliar)"
_WITHIN = r"\b[^.;]{0,80}?\b"
_SAYINGS = (
    # The writer speaks of itself as a model, or of its training; sentences about tissue do not.
    rf"\b{_MACHINE}",
    rf"\b{_NOT}{_WITHIN}{_TAUGHT}\b",
    rf"\b(?:the|this) system\b{_WITHIN}{_NOT}{_WITHIN}{_KNOW}\b",
    r"\b(?:as an ai|my training|training (?:data|set))\b",
    r"\bout[- ]of[- ](?:distribution|domain)\b",
    # "I" and "we" count only before a verb of knowing: "I" may be a numeral, and "we do not see mitoses" is a finding.
    rf"\b(?:i|we) (?:do not|don['’]t|did not|cannot|can not|can['’]t|could not|am not|are not)\b[^.;]{{0,40}}?"
    rf"\b(?:{_KNOW}|sure|certain|able)\b(?<!\bseen)",
    r"\b(?:i|we)(?: am| are|['’]m|['’]re) (?:sorry|unsure|uncertain|unable|not (?:sure|certain|able))\b",
    r"\b(?:i|we)(?: have|['’]ve) never\b|\b(?:i|we) (?:cannot|can not|can['’]t) (?:help|assist)\b",
    r"\bnothing (?:that )?(?:i|we) (?:know|recogni[sz]e)\b",
    # What is shown is not known.
    rf"\b(?:unknown|unrecogni[sz]ed|unfamiliar|unidentifi(?:ed|able)) {_NAMED}\b",
    rf"\b{_NAMED}(?: type)? (?:is|was|are|remains?)(?: still)? {_OPEN}\b",
    rf"\b{_NAMED} (?:can ?not|could not|can['’]t|couldn['’]t) be {_KNOW}\b",
    r"\bno (?:known |confident |certain |definite )?(?:diagnosis|label|category|entity) (?:is|was|can|could|matches|fits)\b",
    rf"\b(?:no|not an?|not any) known {_NAMED}\b",
    r"\b(?:does not|do not|doesn['’]t|did not) match (?:any|a) (?:known |learned )?(?:tissue|organ|diagnosis|disease|entity|label|category|class)\b",
    rf"\b(?:unable|not able|impossible|not possible) to {_KNOW}\b",
    r"\b(?:unclear|uncertain|unknown|not (?:known|clear)|(?:hard|difficult|impossible|not possible) to (?:say|tell)) (?:which|what)\b",
    rf"\b(?:can ?not|could not|can['’]t) be {_KNOW} (?:which|what)\b",
    r"\b(?:not|none) (?:one )?(?:of|among) the known\b",
    r"\b(?:not|n['’]t) (?:allow|permit) (?:for )?(?:a|any) diagnosis\b",
    r"\b(?:insufficient|not enough) information\b",
    r"\bnot (?:specific|sufficient|clear) (?:enough )?for an?y? diagnosis\b",
    # The whole sentence says only this.
    rf"^\W*(?:(?:the |a )?(?:diagnosis|tissue|answer|label)\W+)?(?:is |was |remains )?(?:{_OPEN}|not recogni[sz]ed|abstain(?:s|ed)?|"
    rf"no diagnosis|not sure|n/?a|none|(?:can ?not|can['’]t|could not|unable to) (?:be )?{_KNOW})\W*$",
)
_SAYING = re.compile("|".join(_SAYINGS), re.IGNORECASE)


def says_not_known(sentence: str, unknown_label: str | None = None) -> bool:
    """Return whether a sentence or a label says that its writer does not know.

    Args:
        sentence: A sentence or a label of any model.
        unknown_label: The model's own label for tissue that it does not know.
    """
    text = " ".join(sentence.split())
    own = normalised_label(unknown_label or "")
    return bool(own and own in text.casefold()) or bool(_SAYING.search(text))


def not_known_in(text: str, unknown_label: str | None = None) -> list[str]:
    """Return the sentences of a text that say that its writer does not know."""
    return [sentence for sentence in split_sentences(text) if says_not_known(sentence, unknown_label)]


def without_not_known(text: str, unknown_label: str | None = None) -> str:
    """Return the text without the sentences that say that its writer does not know."""
    if not not_known_in(text, unknown_label):
        return text
    return " ".join(s for s in split_sentences(text) if not says_not_known(s, unknown_label))
