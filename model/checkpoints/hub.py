"""Weights by hub id: their licence is acknowledged before the first load, then they come from huggingface_hub."""

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
"""Known hub ids and the licence of their weights."""

_UNKNOWN_LICENCE = "the licence on its hub page"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["*.json", "*.safetensors", "*.bin", "*.txt", "*.model", "*.jinja"]


def resolve(name: str | Path, *, accept_licence: bool = False) -> Path:
    """The folder of a checkpoint: of "nano" the bundled one, a folder as it is, a hub id downloaded with progress shown.

    Raises ``ModelError`` where ``name`` is neither, where the licence is not accepted, and where the hub cannot be
    reached and the cache does not hold the checkpoint.
    """
    if str(name) == NANO:
        return NANO_FOLDER
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    text = str(name)
    if folder.exists() or not _HUB_ID.fullmatch(text):
        raise ModelError(
            f"{text!r} is neither a checkpoint folder nor a hub id; give {NANO}, a folder, or an id like "
            f"{next(iter(LICENCES))}."
        )
    acknowledge(text, accept_licence)
    return _downloaded(text)


def licence_of(name: str | Path) -> str:
    """The licence of a hub id's weights; for anything else an empty string."""
    return LICENCES.get(str(name), "")


def acknowledge(hub_id: str, accept: bool = False) -> None:
    """See to it that the licence of ``hub_id`` was accepted: now, by the setting, or earlier in this home folder.

    An acceptance is kept in the home folder. Raises ``ModelError`` with the way to accept otherwise.
    """
    stored = home_folder() / "licences" / hub_id.replace("/", "--")
    if stored.is_file():
        return
    licence = LICENCES.get(hub_id, _UNKNOWN_LICENCE)
    if not (accept or load_settings().accept_licence):
        raise ModelError(
            f"The weights {hub_id} are under {licence}; accept it once with "
            "--accept-licence, accept_licence=True or VIDEOPATH_ACCEPT_LICENCE=1."
        )
    try:
        write_text(stored, f"{hub_id}: {licence}\n")
    except OSError as error:
        raise ModelError(
            f"The acceptance of the licence cannot be kept in {stored.parent} ({error}); make it writable."
        ) from error


def _downloaded(hub_id: str) -> Path:
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=_FILES))
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"The hub has no public repository {hub_id}; check the id, or log in with `hf auth login`."
        ) from error
    except (LocalEntryNotFoundError, httpx.HTTPError, OSError) as error:
        raise ModelError(
            f"{hub_id} could not be downloaded and is not in the hub's cache ({type(error).__name__}); "
            "connect to the hub, or download it elsewhere and give its folder."
        ) from error
