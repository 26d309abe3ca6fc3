"""Weights from the hub: the user accepts their licence once, then huggingface_hub downloads them."""

from __future__ import annotations

import re
from pathlib import Path

from videopath.core.errors import ModelError
from videopath.core.files import write_text
from videopath.core.settings import home_folder, load_settings
from videopath.model.card import NANO_FOLDER
from videopath.model.inference.spec import NANO

LICENCES = {
    "trinhvg/ViDRiP_LLaVA_video": "CC BY-NC 3.0 (non-commercial use only)",
    "trinhvg/ViDRiP_LLaVA_image": "CC BY-NC 3.0 (non-commercial use only)",
}
"""Hub id → licence of its weights."""

_UNKNOWN_LICENCE = "the licence on its hub page"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["*.json", "*.safetensors", "*.bin", "*.txt", "*.model", "*.jinja", "README.md"]


def resolve(name: str | Path, *, accept_licence: bool = False) -> Path:
    """Return the folder of a checkpoint; download it if it is a hub id.

    Args:
        name: "nano" (bundled), a folder, or a hub id.
        accept_licence: Whether the user accepts the licence of weights from the hub.

    Raises:
        ModelError: ``name`` is neither a folder nor a hub id, the licence is not accepted, or the checkpoint is not in
            the cache and the hub cannot be reached.
    """
    if str(name) == NANO:
        return NANO_FOLDER
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    text = str(name)
    if folder.exists() or not _HUB_ID.fullmatch(text):
        raise ModelError(
            f"{text!r} is neither a checkpoint folder nor a hub id: give {NANO}, a folder, or an id like "
            f"{next(iter(LICENCES))}."
        )
    acknowledge(text, accept_licence)
    return _downloaded(text)


def licence_of(name: str | Path) -> str:
    """Return the licence of a hub id's weights; an empty string for other names."""
    return LICENCES.get(str(name), "")


def acknowledge(hub_id: str, accept: bool = False) -> None:
    """Check that the user has accepted the licence of ``hub_id``: now, in the settings, or earlier.

    The acceptance is kept in the home folder.

    Raises:
        ModelError: The licence is not accepted, or the acceptance cannot be kept.
    """
    stored = home_folder() / "licences" / hub_id.replace("/", "--")
    if stored.is_file():
        return
    licence = LICENCES.get(hub_id, _UNKNOWN_LICENCE)
    if not (accept or load_settings().accept_licence):
        raise ModelError(
            f"The weights {hub_id} are under {licence}: accept it once with "
            "--accept-licence, accept_licence=True or VIDEOPATH_ACCEPT_LICENCE=1."
        )
    try:
        write_text(stored, f"{hub_id}: {licence}\n")
    except OSError as error:
        raise ModelError(
            f"The acceptance of the licence cannot be written to {stored.parent} ({error}): make the folder writable."
        ) from error


def _downloaded(hub_id: str) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"The hub has no public repository {hub_id}: check the id, or log in with `hf auth login`."
        ) from error
    except (LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise ModelError(
            f"{hub_id} could not be downloaded and is not in the hub's cache ({type(error).__name__}); "
            "connect to the hub, or download it on another computer and give its folder."
        ) from error
