"""The trivial baseline: ten nearest neighbours by six colour numbers, among cases of the same site.

Only what a system gains over this baseline is not due to the stain.
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
    """Cases that are compared by their colours alone."""

    def __init__(self, table: np.ndarray, diagnoses: Sequence[str], sites: Sequence[str]) -> None:
        """Fit one classifier per site.

        Args:
            table: float [cases, 6], see :func:`videopath.media.quality.stain.colour_numbers`.
            diagnoses: Diagnosis of each case.
            sites: Site of each case.
        """
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._fitted = {}
        labels, sites_of_cases = np.array(diagnoses), np.array(sites)
        for site in np.unique(sites_of_cases).tolist():
            rows = sites_of_cases == site
            neighbours = KNeighborsClassifier(min(_NEIGHBOURS, int(rows.sum())), weights="distance")
            self._fitted[site] = make_pipeline(StandardScaler(), neighbours).fit(table[rows], labels[rows])

    def shares(self, numbers: np.ndarray, site: str | None) -> dict[str, float]:
        """Return diagnosis → share of the neighbours, largest first; empty if the site has no cases."""
        fitted = self._fitted.get(site or "")
        if fitted is None:
            return {}
        shares = fitted.predict_proba(numbers[None])[0]
        order = np.argsort(-shares, kind="stable")
        return {str(fitted.classes_[index]): float(shares[index]) for index in order}


def colours_of(path: Path) -> np.ndarray:
    """Return the colour numbers of a video or an image, float32 [6]."""
    from videopath.media.quality.stain import colour_numbers
    from videopath.model import open_clip

    return colour_numbers(open_clip(path, _FRAMES, writing="keep").frames)


def colour_neighbours(base: KnowledgeBase) -> ColourNeighbours:
    """Compare by the colours of a knowledge base's cases. The starter uses the tiles of its reference tissue.

    Raises:
        InputError: The picture files of the base are not on this machine.
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
            f"The records of {base.folder} name no picture file on this machine, so their colours are unknown. "
            "Leave out --system colour."
        )
    tables, diagnoses, sites = zip(*rows, strict=True)
    return ColourNeighbours(np.stack(tables), diagnoses, sites)
