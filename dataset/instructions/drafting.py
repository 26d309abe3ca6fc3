"""Drafts for a person if no model writes: sentences of the transcript and of cards, sorted by what they are about."""

from __future__ import annotations

import re
from typing import Literal

from videopath.dataset.instructions.given_away import names_diagnosis
from videopath.dataset.instructions.questions import question_for
from videopath.dataset.instructions.words import ClipWords, spoken_within
from videopath.dataset.records import InstructionPair, RefinedClip

_MORPHOLOGY = re.compile(
    r"\b(?:cell(?:s|ular|ularity)?|nucle\w+|cytoplasm\w*|chromatin|mito(?:s[ie]s|tic)|gland\w*|crypts?|vill(?:i|us|ous)|papill\w+"
    r"|acin[aiu]\w*|ducts?|ductal|lobul\w+|follic\w+|tubul\w+|nests?|sheets?|cords?|trabecul\w+|single files?|rosettes?|cribriform"
    r"|strom\w+|collagen\w*|fibr(?:ous|in|osis|oblasts?)|desmoplas\w+|mucin\w*|keratin\w*|necro\w+|hemorrhag\w+|haemorrhag\w+"
    r"|lymphocyt\w*|neutrophil\w*|eosinophil\w*|plasma cells?|macrophag\w*|histiocyt\w*|giant cells?|granulom\w*|inflam\w+|infiltrat\w+"
    r"|epitheli\w+|mucosa\w*|submucosa\w*|muscularis|serosa\w*|lamina propria|basement membrane|surface|architectur\w+|crowd\w+"
    r"|pleomorph\w+|hyperchrom\w+|atypi\w+|vacuol\w+|vessels?|vascular\w*|capillar\w+|edema\w*|oedema\w*|ulcer\w*|eros\w+|abscess\w*"
    r"|cyst(?:s|ic)?|calcif\w+|pigment\w*|fat|adipo\w+|spindle\w*|round|polygonal|irregular\w*|dilated|branching|stain(?:s|ed|ing)?"
    r"|basophil\w*|tumou?r cells?|borders?|margins?|invad\w+|lumen\w*|luminal|background)\b",
    re.IGNORECASE,
)
"""Words of what a slide shows. They sort sentences for a person; nothing is decided by them."""


def names_morphology(text: str) -> bool:
    """Return whether a sentence says what a slide shows."""
    return bool(_MORPHOLOGY.search(text))


def draft_pairs(clip: RefinedClip, words: ClipWords) -> list[InstructionPair]:
    """Return two drafts for a clip: its description, and its diagnosis.

    The description has the sentences with words of morphology that are spoken in the clip's seconds, without those that
    name a diagnosis if others are left. The diagnosis has the sentences and cards that name one. What may be about
    another case is left out; the page shows it. A draft without any such sentence is empty, so that a person can write it.
    """
    spoken = spoken_within(words, clip)
    around = [text for text in words.spoken if text not in spoken]
    naming = [text for text in (*words.cards, *spoken, *around) if names_diagnosis(text)]
    seen = [text for text in spoken if names_morphology(text)]
    return [
        _draft(clip, words, "description", [text for text in seen if text not in naming] or seen, naming),
        _draft(clip, words, "diagnosis", naming, naming),
    ]


def _draft(
    clip: RefinedClip,
    words: ClipWords,
    about: Literal["description", "diagnosis"],
    sentences: list[str],
    naming: list[str],
) -> InstructionPair:
    return InstructionPair(
        id=f"{clip.id}-{about}",
        clip=clip.id,
        about=about,
        question=question_for(about, clip.id, words),
        answer=" ".join(dict.fromkeys(sentences)),
        given_away=tuple(dict.fromkeys(naming)),
        blind=False,
        origin="draft",
    )
