"""The card of a checkpoint after a transfer: that of its start, without what training makes invalid."""

from __future__ import annotations

from pathlib import Path

from videopath.core.files import write_text
from videopath.model.card import CARD_FILE, CardFile, read_card
from videopath.model.checkpoints.hub import licence_of, resolve
from videopath.training.recipe import TransferRecipe


def write_carried_card(recipe: TransferRecipe, folder: Path, *, accept_licence: bool = False) -> None:
    """Write the card of a recipe's start checkpoint into a folder, under the recipe's name.

    Labels, the answer for unknown tissue, frames and licence are kept. The calibration is dropped because it was
    fitted on the answers of other weights; vocabulary and typical sentences, because the network may now write other
    words. A start without a card and licence, or without a checkpoint, gives no card.

    Args:
        recipe: The transfer.
        folder: The folder of a checkpoint or an adapter; made if it is missing.
        accept_licence: Whether a licence that the hub asks for is accepted.

    Raises:
        ModelError: The start cannot be found or its card is damaged.
    """
    start = recipe.start.checkpoint
    if start is None:
        return
    before = read_card(resolve(start, accept_licence=accept_licence))
    licence = before.licence or licence_of(start) or None
    if before == CardFile() and licence is None:
        return
    training_data = [before.trained_on or before.name or "", f"conversations of the recipe {recipe.name}"]
    card = before.model_copy(
        update={
            "name": recipe.name,
            "licence": licence,
            "calibration": {},
            "calibrated_on": None,
            "vocabulary": [],
            "typical": {},
            "trained_on": ", then ".join(part for part in training_data if part),
        }
    )
    write_text(folder / CARD_FILE, card.model_dump_json(indent=2, exclude_none=True) + "\n")
