"""Questions that a diagnosis answers.

The agent gives one answer to a case: a diagnosis. A question for something else (a count, a grade, a place, a marker)
stays open, and the report says so. A question counts as open unless it clearly asks for a diagnosis.
"""

from __future__ import annotations

import re

from videopath.core.pathology.labels import normalised_label
from videopath.core.pathology.sites import SITES
from videopath.core.pathology.terms import is_term, names_disease, words_of
from videopath.model.prompts.questions import FIRST_DESCRIBE
from videopath.tools.answers.labels import NO_DIAGNOSIS

_THING = (
    r"(?:disease|disorder|lesion|tumou?r|neoplasm|cancer|malignancy|carcinoma|lymphoma|sarcoma|condition|entity|pathology|"
    r"process|abnormality|polyp|adenoma|leuka?emia|subtype|histology)"
)
_SITE = "|".join(re.escape(name) for site, others in SITES.items() for name in (site, *others))
_WHERE = (
    r"(?:\W+(?:in|on|of|for|from)\W+(?:(?:this|the|that|a)\W+)?(?:\w+\W+){0,2}?"
    rf"(?:case|video|clip|image|picture|slide|section|specimen|biopsy|sample|tissue|{_SITE})\b)*"
)
_WHAT_IS_SEEN = (
    rf"^\W*(?:what\W+(?:is|are|does|do)\W+(?:this|it|that|these)(?:\W+show)?|"
    r"what\W+do\W+you\W+think\W+(?:this|it|that|these)\W+(?:is|are)|"
    r"what\W+would\W+you\W+call\W+(?:this|it|that)|"
    r"how\W+(?:would|do)\W+you\W+sign\W+(?:this|it)\W+out|"
    rf"what\W+do\W+we\W+see\W+here)(?:\W+here)?{_WHERE}\W*(?:please)?\W*$"
)
"""Everyday questions that name no diagnosis and ask for one: "What is this in this video of the colon?"."""
_DIAGNOSIS = re.compile(
    r"\bdiagnos|\bdiagnós|\btan[ıi]s?[ıi]?\b|진단|诊断|診断|\bdifferential\b"
    rf"|\b(?:what|which)\b(?:\W+\w+){{0,4}}?\W+{_THING}\b"
    rf"|\b(?:name|identify|classify|recogni[sz]e)\b(?:\W+\w+){{0,3}}?\W+{_THING}\b"
    rf"|{_WHAT_IS_SEEN}"
    r"|\bhow\W+(?:would|do|should)\W+(?:you|one|we)\W+(?:diagnose|classify|call)\b"
    r"|\bclassification of (?:the|this) (?:tumou?r|lesion)\b|\bhistolog\w+ classification\b"
    r"|\bwhat\W+(?:is|does)\W+(?:this|the)\W+(?:\w+\W+)?(?:tissue|slide|video|image|picture|case)\W*(?:show|represent)?\W*$"
    r"|\bbenign\b.{0,40}\bmalignant\b|\bmalignant\b.{0,40}\bbenign\b",
    re.IGNORECASE,
)
_SOMETHING_ELSE = re.compile(
    r"\bhow\b(?!\W+(?:would|do|should)\W+(?:you|one|we)\W+(?:diagnose|classify|call|sign)\b)|\bcount\b|\bnumber of\b|\bper(?:cent|centage)\b|\b(?:proportion|ratio|size|diameter|thickness|depth|index|score|grade|"
    r"grading|stage|staging|pTNM|margins?|prognosis|treatment|therapy|survival|stain(?:ing|s)?|immunohistochemi\w*|"
    r"immuno\w*|markers?|mutations?|genes?|mitos[ie]s|mitotic|ki-?67|her-?2|invasion|necrosis|differentiat(?:ed|ion)|"
    r"cell types?|organ|magnification|artefacts?|artifacts?|"
    r"features?|findings?|criteria|evidence|support\w*|reports?|information|observations?|patterns?|architecture|morphology)\b"
    r"|^\W*(?:where|when|why|who|list|describe|measure|explain|summari[sz]e|compare|outline|point)\b",
    re.IGNORECASE,
)
_GROUNDS = re.compile(
    r"^\W*(?:based on|given|considering|from|according to|with)\b[^,?]*,\W*|,?\W*\bbased on\b[^,?]*",
    re.IGNORECASE,
)
_TASK = re.compile(
    r"\?\W*$|^\W*(?:(?:also|and|then|please)\W+)*(?:count|describe|list|measure|explain|name|give|identify|grade|stage|state|"
    r"estimate|report|classify|determine|tell)\b",
    re.IGNORECASE,
)
_IS_IT = re.compile(
    r"^\W*(?:is|are|could|might|would|can)\W+(?:this|it|that|these|the\W+\w+)\W+(?:(?:be|represent|an?|the|likely|really)\W+)*"
    r"(?P<what>.+?)\W*$",
    re.IGNORECASE,
)


def is_answered(question: str | None, label: str, unknown_label: str | None = None) -> bool | None:
    """Return whether a case's label answers its question, or ``None`` if there is no question."""
    if not question:
        return None
    if normalised_label(label) in {"", NO_DIAGNOSIS, normalised_label(unknown_label or "")}:
        return False
    return asks_for_diagnosis(question)


def asks_for_diagnosis(question: str) -> bool:
    """Return whether a diagnosis answers the question: every task in it must ask for one."""
    question = question.replace(FIRST_DESCRIBE, "").strip()
    sentences = [part for part in re.split(r"(?<=[?.!])\s+", question) if words_of(part)]
    tasks = [
        sentence for sentence in sentences if _TASK.search(sentence)
    ] or sentences  # other sentences describe the case
    return bool(tasks) and all(_asks(_GROUNDS.sub("", task)) for task in tasks)


def _asks(sentence: str) -> bool:
    if _SOMETHING_ELSE.search(sentence):
        return False
    if _DIAGNOSIS.search(sentence):
        return True
    found = _IS_IT.match(sentence)
    return found is not None and is_term(found["what"]) and names_disease(found["what"])
