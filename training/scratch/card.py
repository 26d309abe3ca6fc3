"""The card of a checkpoint that was trained from random weights."""

from __future__ import annotations

from videopath.training.data import corpus
from videopath.training.recipe import ScratchRecipe
from videopath.training.scratch import descriptions


def scratch_card(recipe: ScratchRecipe, vocabulary: list[str]) -> dict[str, object]:
    """Return the content of ``videopath.json``: what the checkpoint says about itself.

    Args:
        recipe: The recipe of the training.
        vocabulary: Diagnoses in the training data that are not among its labels.
    """
    labels = corpus.diagnoses_by_site()
    return {
        "name": recipe.name,
        "frames": recipe.frames,
        "licence": "Apache-2.0 for the weights as such; MODEL_CARD.md names the licence of each data set they were trained on.",
        "trained_on": "LC25000, an oral cavity set, the NIA lymphoma set, LBC Pap smears, BM_GRAZ and the Patoloji Atlası (see MODEL_CARD.md)",
        "labels": labels,
        "unknown_label": corpus.UNKNOWN,
        "vocabulary": vocabulary,
        "typical": {d: descriptions.typical(d) for diagnoses in labels.values() for d in diagnoses},
        "score_reduction": "sum",
        "calibration": {},
    }
