"""The engine of a served model."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from videopath.core.errors import InputError, ModelError
from videopath.core.files import sha256_text
from videopath.core.settings import EngineSettings
from videopath.model.card import Card, read_card
from videopath.model.inference.engine import EngineInfo
from videopath.model.served.abilities import Abilities, probe, scorer_of
from videopath.model.served.address import ServedModel
from videopath.model.served.connection import Connection
from videopath.model.served.replies import ModelEntry
from videopath.model.served.scoring import Scorer
from videopath.model.served.session import ServedSession
from videopath.model.served.transport import Traffic

if TYPE_CHECKING:
    from videopath.media.clip import Clip

_log = logging.getLogger(__name__)

_LISTED = 5  # models that a message names
_NO_INFLUENCE = {"timeout", "retries", "max_requests", "key_env", "proxy", "card", "frames", "scoring"}
"""Settings that do not change an answer."""


class ServedEngine:
    """A model behind a server. It scores no moments and gives no vectors of frames."""

    def __init__(
        self,
        connection: Connection,
        model: str,
        settings: EngineSettings,
        abilities: Abilities,
        scorer: Scorer,
        info: EngineInfo,
    ) -> None:
        self.abilities = abilities
        """What the server was found to do."""
        self._connection = connection
        self._model = model
        self._settings = settings
        self._scorer = scorer
        self._info = info

    @property
    def info(self) -> EngineInfo:
        """Name, address and card, and how scores come about.

        ``weights_sha256`` is not a hash of weights, since a server does not show them. It is a hash of the address, the
        model's name, what the server reports about it, and how it is asked. If it differs, answers may differ; if it is the
        same, the weights may have been replaced all the same.
        """
        return self._info

    @property
    def traffic(self) -> Traffic:
        """Requests, bytes and tokens since the engine was loaded."""
        return self._connection.traffic

    def open(self, clip: Clip, *, on_frames: Callable[[int, int], None] | None = None) -> ServedSession:
        """Encode the frames of a clip as pictures, once; nothing is sent before the first question."""
        return ServedSession(
            self._connection, self._model, self._settings, self.abilities, self._scorer, clip, on_frames
        )


def connect(served: ServedModel) -> ServedEngine:
    """Connect to a served model; see :func:`videopath.model.served.loading.load_served_engine`."""
    started = time.monotonic()
    settings = served.settings
    connection = Connection(settings)
    _warn_if_readable_on_the_way(settings)
    listed = connection.models()
    model = settings.model or _only_model(listed, settings)
    try:
        abilities = probe(connection, model, settings)
    except ModelError as error:
        raise ModelError(f"{error}{_names(listed, model)}") from error
    scorer = scorer_of(abilities, settings)
    entry = next((one for one in listed if one.id == model), None)
    sha256 = _sha256(settings, model, entry, abilities, scorer)
    info = EngineInfo(
        name=model,
        source=served.source,
        layout="served",
        weights_sha256=sha256,
        device="server",
        dtype="unknown",
        device_reason=f"the model runs at {settings.address}",
        parameters=_parameters(entry),
        licence="not stated",
        frames=settings.frames,
        card=_card(settings, sha256),
        wording=settings.wording,
        scoring=scorer.scoring,
        scores_moments=False,
        address=settings.address,
    )
    _log.info(
        "Engine %s at %s is ready after %.1f s and %d requests: scores by %s.",
        info.name, info.address, time.monotonic() - started, connection.traffic.requests, info.scoring,
    )  # fmt: skip
    return ServedEngine(connection, model, settings, abilities, scorer, info)


def _only_model(listed: list[ModelEntry], settings: EngineSettings) -> str:
    if len(listed) == 1:
        return listed[0].id
    if not listed:
        raise InputError(
            f"The server at {settings.address} lists no model; name one after #, and check that the address ends with its "
            "path, which is usually /v1."
        )
    raise InputError(
        f"The server at {settings.address} lists {len(listed)} models; name one after #: "
        f"{', '.join(one.id for one in listed[:_LISTED])}{', …' if len(listed) > _LISTED else ''}."
    )


def _names(listed: list[ModelEntry], model: str) -> str:
    """Return a sentence with the models that a server lists, if ``model`` is not among them."""
    names = [one.id for one in listed]
    if not names or model in names:
        return ""
    return f" The server lists: {', '.join(names[:_LISTED])}{', …' if len(names) > _LISTED else ''}."


def _parameters(entry: ModelEntry | None) -> int:
    count = (entry.meta or {}).get("n_params") if entry else None  # llama.cpp
    return count if isinstance(count, int) and count > 0 else 0


def _sha256(
    settings: EngineSettings,
    model: str,
    entry: ModelEntry | None,
    abilities: Abilities,
    scorer: Scorer,
) -> str:
    facts = {
        "settings": settings.model_dump(mode="json", exclude=_NO_INFLUENCE),
        "model": model,
        "reported": entry.model_dump(mode="json") if entry else None,
        "video": abilities.video,
        "continues": abilities.continues,
        "scorer": [scorer.scoring, scorer.name],
    }
    return sha256_text(json.dumps(facts, sort_keys=True, ensure_ascii=False))


def _card(settings: EngineSettings, sha256: str) -> Card:
    """Return the card that the settings name. Its calibration holds only if it was fitted on exactly this engine."""
    if settings.card is None:
        return Card()
    folder = settings.card.expanduser()
    if not folder.is_dir():
        raise InputError(f"The card of the engine at {settings.address}, {folder}, is not a folder.")
    file = read_card(folder)
    card = file.card_of(sha256)
    return card if file.calibrated_on is not None else card.model_copy(update={"calibration": {}})


def _warn_if_readable_on_the_way(settings: EngineSettings) -> None:
    parts = urlsplit(settings.address)
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        _log.warning("Frames are sent to %s without encryption.", settings.address)
