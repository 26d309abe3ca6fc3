"""The card of a checkpoint: ``videopath.json`` for programs, ``MODEL_CARD.md`` for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from videopath.core.choices import ScoreReduction, Scoring
from videopath.core.errors import InputError, ModelError
from videopath.core.files import write_text
from videopath.model.checkpoints.weights_hash import weights_sha256
from videopath.model.inference.spec import NANO

NANO_FOLDER = Path(str(files("videopath.model.nano")))
"""Folder of the bundled model."""
CARD_FILE = "videopath.json"
"""The card for programs, in a checkpoint's folder."""
CARD_NAMES = ("MODEL_CARD.md", "README.md")
"""Names of the card for people, in the order in which they are tried; the hub uses README.md."""


class Card(BaseModel):
    """Facts about a checkpoint that its weights do not tell (``videopath.json``)."""

    model_config = ConfigDict(frozen=True)

    labels: dict[str, list[str]] = Field(
        default={}, description="site → diagnoses that the model was trained on"
    )
    unknown_label: str | None = Field(
        default=None, description="the answer for tissue that the model does not know"
    )
    calibration: dict[str, float] = Field(
        default={}, description="parameters of the confidence, fitted on held-out clips"
    )
    scoring: Scoring = Field(
        default="token probabilities",
        description="how the scores came about that the calibration was fitted on; it holds for no other way",
    )
    score_reduction: ScoreReduction = Field(
        default="mean", description="how the log-probabilities of a candidate's tokens are combined"
    )
    trained_on: str = ""
    vocabulary: list[str] = Field(
        default=[],
        description="other terms that it was trained to write; empty: it may write any term",
    )
    typical: dict[str, list[str]] = Field(
        default={},
        description="diagnosis → sentences that it writes for this diagnosis, whatever the picture shows",
    )

    def fitted_under(self, scoring: Scoring) -> Card:
        """Return the card without its calibration if that was fitted on scores that came about in another way."""
        if scoring == self.scoring or not self.calibration:
            return self
        return self.model_copy(update={"calibration": {}})


class CalibratedOn(BaseModel):
    """The question set that a checkpoint's confidence was fitted on."""

    model_config = ConfigDict(frozen=True)

    date: str = Field(description="ISO 8601")
    set: str = Field(description="name of the question set")
    set_sha256: str
    questions: int = Field(ge=0)
    right: int = Field(ge=0, description="number of right answers")
    weights_sha256: str = Field(description="of the weights that answered; it holds for no others")
    scoring: Scoring = Field(
        default="token probabilities", description="how the scores came about; it holds for no other way"
    )


class CardFile(Card):
    """The file ``videopath.json`` of a checkpoint folder: the card, and values for the engine's info."""

    name: str | None = None
    frames: int | None = Field(default=None, ge=1)
    licence: str | None = None
    calibrated_on: CalibratedOn | None = None

    def card_of(self, sha256: str) -> Card:
        """Return the card for weights with this hash, without a calibration that was fitted on other weights."""
        card = Card(**self.model_dump(include=set(Card.model_fields)))
        if self.calibrated_on is None:
            return card
        fits = self.calibrated_on.weights_sha256 == sha256
        calibration = self.calibration if fits else {}
        return card.model_copy(update={"calibration": calibration, "scoring": self.calibrated_on.scoring})


def read_card(folder: Path) -> CardFile:
    """Read the card of a checkpoint folder.

    Returns:
        The card; an empty one if the folder has none.

    Raises:
        ModelError: The file is not a usable card.
    """
    path = folder / CARD_FILE
    if not path.is_file():
        return CardFile()
    try:
        return CardFile.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(
            f"{path} is not a usable card: {field}: {first['msg']}. Correct or remove it."
        ) from error


def card_facts(name: str | Path) -> CardFile:
    """Read the card of "nano" or of a checkpoint folder; an empty one for anything else, such as a hub id.

    Raises:
        ModelError: The file is not a usable card.
    """
    return read_card(_folder(name))


def card_text(name: str | Path) -> str | None:
    """Read the card for people of "nano" or of a checkpoint folder.

    Returns:
        Markdown; ``None`` if there is no card, as for a hub id.
    """
    folder = _folder(name)
    path = next((folder / card for card in CARD_NAMES if (folder / card).is_file()), None)
    return path.read_text(encoding="utf-8", errors="replace") if path else None


def card_folder(checkpoint: str | Path, *, bundled: bool = False) -> Path:
    """Return the folder of the card that a calibration of this checkpoint is written to.

    Args:
        checkpoint: "nano" or a checkpoint folder.
        bundled: Allow the bundled model.

    Raises:
        InputError: ``checkpoint`` is not a folder, or it is the bundled model without ``bundled``.
    """
    folder = _folder(checkpoint)
    if not folder.is_dir():
        raise InputError(
            f"{checkpoint} is not a folder on this machine: a calibration is written into a checkpoint's own folder. "
            "Download or convert the checkpoint, and give its folder."
        )
    if folder.resolve() == NANO_FOLDER.resolve() and not bundled:
        raise InputError(
            "The bundled model is calibrated already, and its card is part of the installation: copy its folder and "
            "calibrate the copy, or use --bundled to replace its calibration."
        )
    return folder


def write_calibration(folder: Path, calibration: dict[str, float], fitted_on: CalibratedOn) -> None:
    """Write a calibration into the card of a checkpoint; everything else in the card stays as it is.

    Args:
        folder: The checkpoint.
        calibration: Parameters by key, see :mod:`videopath.model.calibration`; others keep their values.
        fitted_on: What they were fitted on.

    Raises:
        ModelError: The card is broken, or it cannot be written.
    """
    read_card(folder)  # a broken card is an error, it is not replaced
    path = folder / CARD_FILE
    card: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    card["calibration"] = {**card.get("calibration", {}), **calibration}
    card["calibrated_on"] = fitted_on.model_dump(mode="json")
    try:
        write_text(path, json.dumps(card, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror}): make the folder writable.") from error


def carry_calibration_over(before: Sequence[Path], folder: Path) -> None:
    """Let the copied card of a converted checkpoint name the hash of its own weights.

    The converted network is the calibrated one. A calibration that does not fit the weights ``before`` stays without
    effect.

    Args:
        before: Weight files of the checkpoint that was converted.
        folder: The converted checkpoint, with the copied card.
    """
    fitted_on = read_card(folder).calibrated_on
    if fitted_on is None or fitted_on.weights_sha256 != weights_sha256(before):
        return
    after = weights_sha256(sorted(folder.glob("*.safetensors")))
    write_calibration(folder, {}, fitted_on.model_copy(update={"weights_sha256": after}))


def _folder(name: str | Path) -> Path:
    return NANO_FOLDER if str(name) == NANO else Path(name).expanduser()
