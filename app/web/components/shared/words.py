"""The words of the pages that a visitor may not know, each explained in a sentence or two for ``help=``."""

from __future__ import annotations

_WORDS = {
    "abstained": "The agent gives no diagnosis, since neither the model nor the similar cases are sure enough.",
    "blind": "The model's answer before it saw any similar case, so that both answers can be compared.",
    "calibrated": "The confidence was fitted to cases with a known diagnosis: of answers with 80% about 80% are right.",
    "confidence": "How often such an answer was right in cases with a known diagnosis, from 0 to 1.",
    "kept": "The case was used for the answer. The others were found but left out, for the reason that is given.",
    "knowledge base": "Cases with a known description and diagnosis, in which similar cases are searched.",
    "look": "One round of describing, searching and answering. In a further look the agent sees a part of the picture larger.",
    "rank": "The place of a case in the list of the search; 1 is the most similar.",
    "sampling": "Which frames of the video the model sees. It sees these and no others.",
    "similarity": "How alike descriptions or pictures are to the search, from −1 to 1. It is no probability.",
    "vote": "Each similar case counts for its diagnosis; the nearer it is, the more it counts.",
    "vouched for": "At least one of the two, the model or the similar cases, is sure enough to be trusted.",
}


def explained(*words: str) -> str:
    """Return the explanations of words, for the ``help`` of a widget or heading. Raises ``KeyError`` for another word."""
    return "\n\n".join(f"**{word[:1].upper()}{word[1:]}**: {_WORDS[word]}" for word in words)
