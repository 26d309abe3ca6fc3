"""The card of a checkpoint that was trained further: what holds of its start still holds, the calibration does not."""

from __future__ import annotations

from pathlib import Path

from videopath.core.files import write_text
from videopath.model.card import CARD_FILE, CardFile, read_card
from videopath.model.checkpoints.hub import licence_of, resolve
from videopath.training.recipe import TransferRecipe


def write_carried_card(recipe: TransferRecipe, folder: Path, *, accept_licence: bool = False) -> None:
    """Write the card of a recipe's start into ``folder`` under the recipe's name; nothing where the start has none.

    Labels, the answer for unknown tissue, frames and licence come along. The calibration was fitted on the answers of
    the start, which this network no longer gives, and it may write other words than the start, so these stay behind.
    """
    start = recipe.start.checkpoint
    if start is None:
        return
    before = read_card(resolve(start, accept_licence=accept_licence))
    licence = before.licence or licence_of(start) or None
    if before == CardFile() and licence is None:
        return
    said = [before.trained_on or before.name or "", f"conversations of the recipe {recipe.name}"]
    card = before.model_copy(
        update={
            "name": recipe.name,
            "licence": licence,
            "calibration": {},
            "calibrated_on": None,
            "vocabulary": [],
            "typical": {},
            "trained_on": ", then ".join(part for part in said if part),
        }
    )
    write_text(folder / CARD_FILE, card.model_dump_json(indent=2, exclude_none=True) + "\n")
