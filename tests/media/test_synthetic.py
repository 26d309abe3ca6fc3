"""The synthetic slides: same seed, same picture; entities differ; the case is a video that plays."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from videopath.core.errors import InputError
from videopath.core.pathology.sites import SITES
from videopath.media.synthetic import ENTITIES, render_case, render_clip, render_slide


def test_every_entity_has_a_canonical_site() -> None:
    assert set(ENTITIES.values()) <= set(SITES)


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_seed_gives_one_picture_and_another_seed_another(entity: str) -> None:
    first = render_slide(entity, 3, 320, 240)
    assert first.shape == (240, 320, 3)
    assert first.dtype == np.uint8
    assert np.array_equal(first, render_slide(entity, 3, 320, 240))
    assert not np.array_equal(first, render_slide(entity, 4, 320, 240))


@pytest.mark.parametrize("entity", ENTITIES)
def test_it_is_coloured_as_haematoxylin_and_eosin(entity: str) -> None:
    red, green, blue = render_slide(entity, 5, 480, 360).reshape(-1, 3).mean(0)
    assert red > green + 20
    assert blue > green + 15


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_clip_moves_over_its_slide(entity: str) -> None:
    clip = render_clip(entity, 1, 8, 112)
    assert clip.shape == (8, 112, 112, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, render_clip(entity, 1, 8, 112))
    assert all(not np.array_equal(one, other) for one, other in pairwise(clip))


def test_carcinoma_holds_more_haematoxylin_than_benign_colon() -> None:
    def dark_share(entity: str) -> float:
        return float(
            np.mean([(render_slide(entity, seed, 480, 360)[..., 0] < 140).mean() for seed in range(3)])
        )

    assert dark_share("colon adenocarcinoma") > 1.4 * dark_share("benign colon tissue")


def test_a_case_is_a_video_of_the_asked_size_and_length(tmp_path: Path) -> None:
    path = render_case(tmp_path / "new folder" / "case.mp4", seconds=2.0, fps=8, size=(320, 240))
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 16
    assert frames[0].shape == (240, 320, 3)
    assert [p.name for p in path.parent.iterdir()] == ["case.mp4"]


def test_an_unknown_entity_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="colon adenocarcinoma"):
        render_case(tmp_path / "case.mp4", entity="melanoma")
    assert list(tmp_path.iterdir()) == []
