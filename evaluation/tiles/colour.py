"""The trivial baseline: ten nearest neighbours by six colour numbers, at the site that is given.

Whatever a system is worth beyond it, it does not owe to the stain.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase

_NEIGHBOURS = 10
_FRAMES = 8


class ColourNeighbours:
    """Cases that are known by their colours alone."""

    def __init__(self, table: np.ndarray, diagnoses: Sequence[str], sites: Sequence[str]) -> None:
        """``table``: float [cases, 6], see :func:`videopath.media.quality.stain.colour_numbers`."""
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._fitted = {}
        of, at = np.array(diagnoses), np.array(sites)
        for site in np.unique(at).tolist():
            rows = at == site
            neighbours = KNeighborsClassifier(min(_NEIGHBOURS, int(rows.sum())), weights="distance")
            self._fitted[site] = make_pipeline(StandardScaler(), neighbours).fit(table[rows], of[rows])

    def shares(self, numbers: np.ndarray, site: str | None) -> dict[str, float]:
        """Diagnosis → its share of the neighbours at the site, the largest first; nothing at a site without cases."""
        fitted = self._fitted.get(site or "")
        if fitted is None:
            return {}
        found = fitted.predict_proba(numbers[None])[0]
        order = np.argsort(-found, kind="stable")
        return {str(fitted.classes_[place]): float(found[place]) for place in order}


def colours_of(path: Path) -> np.ndarray:
    """The colour numbers of a video or an image, float32 [6]."""
    from videopath.media.quality.stain import colour_numbers
    from videopath.model import open_clip

    return colour_numbers(open_clip(path, _FRAMES).frames)


def colour_neighbours(base: KnowledgeBase) -> ColourNeighbours:
    """The cases of a knowledge base by their colours: of the starter, the tiles that it votes by.

    Raises ``InputError`` if the picture files of a base are not on this machine.
    """
    from videopath.knowledge.voting.reference import STARTER_ENCODER, reference_of

    if base.fixed and (tissue := reference_of(STARTER_ENCODER)):
        known = tissue.diagnoses != ""
        return ColourNeighbours(
            tissue.colours[known], tissue.diagnoses[known].tolist(), tissue.sites[known].tolist()
        )
    rows = [
        (colours_of(Path(media.path)), record.diagnosis, record.site or "")
        for record in base
        if record.diagnosis
        for media in record.media
        if Path(media.path).is_file()
    ]
    if not rows:
        raise InputError(
            f"The colours of {base.folder} cannot be told: its records name no pictures by whole paths that are here. "
            "Leave out --system colour."
        )
    tables, diagnoses, sites = zip(*rows, strict=True)
    return ColourNeighbours(np.stack(tables), diagnoses, sites)
