"""Searches by image among the training tiles, as the agent would make them: nano learns how often they are right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videopath.model.architecture.network import Network
from videopath.model.inference.frame_vectors import encode_frames
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample
from videopath.training.scratch import views

_NEAREST = 5  # groups in the result of a search


def search_by_image(
    network: Network, known: Sequence[Sample], queries: Sequence[Sample]
) -> dict[str, list[list[str]]]:
    """Search with each query tile among the known tiles of its site.

    Args:
        network: Its tower gives the vectors of the tiles.
        known: Tiles that the tower was trained on.
        queries: Tiles of groups that the tower has not seen, so that the searches are right as often as in use.

    Returns:
        Diagnosis → for each query tile of this diagnosis, the diagnoses of its five nearest groups.
    """
    vectors, query_vectors = (_vectors(network, samples) for samples in (known, queries))
    centre = vectors.mean(axis=0)
    vectors = vectors - centre
    # the queries need no normalisation: their length does not change the order
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    results: dict[str, list[list[str]]] = {}
    for sample, query in zip(queries, query_vectors, strict=True):
        groups: dict[str, str] = {}
        for index in np.argsort(-(vectors @ (query - centre))):
            if known[index].site == sample.site and len(groups) < _NEAREST:
                groups.setdefault(known[index].group, known[index].diagnosis)
        results.setdefault(sample.diagnosis, []).append(list(groups.values()))
    return results


def _vectors(network: Network, samples: Sequence[Sample]) -> np.ndarray:
    """float32 [samples, hidden]: the frame vectors of whole tiles."""
    size = network.config.image_size
    images = np.stack([views.resize(image, size) for image in corpus.load_images(samples)])
    return encode_frames(network, images)
