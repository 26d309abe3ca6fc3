"""Sentences by which a model says that it does not know: they describe no tissue and never become knowledge."""

from __future__ import annotations

import re

from videopath.tools.describe import split_sentences

_NOT = (
    r"(?:not|never|no|none|nor|cannot|unable|unknown|unfamiliar|unsure|uncertain|outside|without|\w+n['’]t)"
)
_KNOWER = r"(?:model|network|algorithm|assistant|ai|training|trained|(?<!\w\. )i|we)"
_NAMED = r"(?:tissue|organ|specimen|sample|slide|image|picture|video|pattern|diagnosis|disease|lesion|entity|label|category|class)"
_KNOW = (
    r"(?:know|known|recogni[sz]ed?|identif(?:y|ied)|diagnosed?|classif(?:y|ied)|determined?|match(?:es|ed)?|"
    r"provided?|given?|made?|answer(?:ed)?|tell|assess(?:ed)?|interpret(?:ed)?)"
)
_WITHIN = r"\b[^.;]{0,80}?\b"
_SAYINGS = (
    rf"\b{_NOT}{_WITHIN}{_KNOWER}\b",  # does not match a tissue that the model was trained on
    rf"\b{_KNOWER}{_WITHIN}{_NOT}{_WITHIN}{_KNOW}\b",  # the model cannot identify it; I do not know
    rf"\b{_KNOWER}\b (?:am |is |are )?(?:unsure|uncertain|unable|sorry|not sure|not certain)\b",
    r"\b(?:model|network|algorithm)\b (?:has |was |is )?(?:not|never)\b",
    rf"\b(?:unknown|unrecogni[sz]ed|unfamiliar|unidentifi(?:ed|able)) {_NAMED}\b",
    rf"\b{_NAMED} (?:is|was|are|remains?) (?:unknown|unrecogni[sz]ed|unfamiliar|unidentified|not known)\b",
    rf"\b{_NAMED} (?:can ?not|could not|can['’]t|couldn['’]t) be {_KNOW}\b",
    r"\b(?:no|not an?|not any) (?:known )?(?:diagnosis|label|category|class|entity) (?:is|was|can|could|matches|known|found)\b",
    rf"\b(?:no|not an?|not any) known {_NAMED}\b",
    rf"\b(?:does not|do not|doesn['’]t|did not) match (?:any|a|an|the) (?:known |learned |trained )?{_NAMED}\b",
    rf"\b(?:unable|not able|impossible|not possible) to {_KNOW}\b",
    r"\b(?:insufficient|not enough) information\b",
    r"^\W*(?:not known|unknown|unclear|no diagnosis|not sure|n/?a|none)\W*$",
)
_SAYING = re.compile("|".join(_SAYINGS), re.IGNORECASE)


def says_not_known(sentence: str, unknown_label: str | None = None) -> bool:
    """Whether a sentence or a label says that its writer does not know, whatever model wrote it.

    ``unknown_label``: the model's own words for it.
    """
    text = " ".join(sentence.split())
    own = " ".join((unknown_label or "").casefold().rstrip(".").split())
    return bool(own and own in text.casefold()) or bool(_SAYING.search(text))


def not_known_in(text: str, unknown_label: str | None = None) -> list[str]:
    """The sentences of a text that say so."""
    return [sentence for sentence in split_sentences(text) if says_not_known(sentence, unknown_label)]


def without_not_known(text: str, unknown_label: str | None = None) -> str:
    """The text without the sentences that say so; as it is where there are none."""
    if not not_known_in(text, unknown_label):
        return text
    return " ".join(s for s in split_sentences(text) if not says_not_known(s, unknown_label))
