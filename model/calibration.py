"""The calibration in a checkpoint's card: written by one command, and of no use for other weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videopath.core.errors import InputError, ModelError
from videopath.core.files import write_text
from videopath.model.checkpoints.weights_hash import weights_sha256
from videopath.model.inference.engine import CARD_FILE, NANO, NANO_FOLDER, CalibratedOn, read_card


def card_folder(checkpoint: str | Path, *, bundled: bool = False) -> Path:
    """The folder whose card a calibration of this checkpoint is written into.

    Raises ``InputError`` for what is no folder, and for the bundled model unless ``bundled`` says that it is meant.
    """
    folder = NANO_FOLDER if str(checkpoint) == NANO else Path(checkpoint).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"{checkpoint} is no folder on this machine: a calibration is written into a checkpoint's own folder. "
            "Download or convert the checkpoint, and give its folder."
        )
    if folder.resolve() == NANO_FOLDER.resolve() and not bundled:
        raise InputError(
            "The bundled model has its calibration, which is part of the installation: copy its folder and calibrate "
            "the copy, or say --bundled if you mean to replace it."
        )
    return folder


def write_calibration(folder: Path, calibration: dict[str, float], fitted_on: CalibratedOn) -> None:
    """Put a calibration into the card of a checkpoint; everything else in it stays as it is."""
    read_card(folder)  # a broken card is told, not replaced
    path = folder / CARD_FILE
    card: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    card["calibration"] = {**card.get("calibration", {}), **calibration}
    card["calibrated_on"] = fitted_on.model_dump(mode="json")
    try:
        write_text(path, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror}): make the folder writable.") from error


def move_calibration(before: Sequence[Path], folder: Path) -> None:
    """Let the copied card of a converted checkpoint name its own weights; the network is the one that was calibrated.

    A calibration that did not fit the weights ``before`` fits these no better: it stays without effect.
    """
    fitted_on = read_card(folder).calibrated_on
    if fitted_on is None or fitted_on.weights_sha256 != weights_sha256(before):
        return
    after = weights_sha256(sorted(folder.glob("*.safetensors")))
    write_calibration(folder, {}, fitted_on.model_copy(update={"weights_sha256": after}))
