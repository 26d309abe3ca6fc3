"""Make the reference tissue of an encoder: vectors of the tiles that nano was trained on, and how good their vote is.

    python benchmarks/reference_tissue.py --data DIR                       # tower:nano
    python benchmarks/reference_tissue.py --data DIR --encoder efficientnet-lite0 --background 1500

The tiles of the training side, and drawn slides, stand for the diagnoses; those of the atlas's training side are other
tissue beside them. How good their vote is, is measured on the tiles of the calibration side and on clips over them, whose
groups are not among them: the tower was trained on the others. The file is written to knowledge/voting/tissue/; its README names the data sets and their licences.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np

from videopath.evaluation.tiles.clips import clip_frames
from videopath.knowledge.index.encoders import FrameEncoder
from videopath.knowledge.index.fingerprint import fingerprints
from videopath.knowledge.storage.manifest import EncoderMark
from videopath.knowledge.voting.electorate import foreign_to, voters_of
from videopath.knowledge.voting.leave_group_out import measure_vote
from videopath.knowledge.voting.reference import FOLDER, SUFFIX, ReferenceTissue
from videopath.knowledge.voting.vote import Space
from videopath.media import synthetic
from videopath.media.image.files import read_picture
from videopath.media.quality.stain import colour_numbers
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.picture_vectors import picture_vector
from videopath.training.data import corpus
from videopath.training.data.corpus import Sample

_VIEWS = "parts"
_LONGEST = 1024  # pixels of a tile
_SEED = 12
_DRAWN = 40  # slides of each entity that is drawn
_FRAMES, _SIDE = 8, 224  # of a drawn clip


def main() -> None:
    """Encode, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder with manifest.csv and slides.csv"
    )
    parser.add_argument("--encoder", default="tower:nano", help="by name, as for --image-encoder")
    parser.add_argument(
        "--background",
        type=int,
        metavar="TILES",
        help="so many tiles alone, as other tissue beside a knowledge base's cases: nothing votes by them or is measured",
    )
    asked = parser.parse_args()
    encoder = load_frame_encoder(asked.encoder)
    if asked.background:
        tissue = background_of(asked.data, encoder, asked.background)
    else:
        tissue = tissue_of(asked.data, encoder)
    path = FOLDER / f"{asked.encoder.replace(':', '-')}{SUFFIX}"
    tissue.write(path)
    print(f"{path}: {len(tissue.ids)} tiles, {path.stat().st_size / 1e6:.1f} MB")
    for site in tissue.measure.sites if tissue.measure else ():
        print(
            f"  {site.site}: {site.accuracy}; answered {site.answered.value:.2f}, right of these "
            f"{site.right_of_answered.value if site.right_of_answered else float('nan'):.2f}"
        )


def tissue_of(data: Path, encoder: FrameEncoder) -> ReferenceTissue:
    """The tiles of the training side as an encoder sees them, measured on those of the calibration side."""
    tiles, atlas = corpus.read_tiles(data), corpus.read_atlas_tiles(data, corpus.read_atlas(data))
    known = _tissue(encoder, [*_tiles([s for s in [*tiles, *atlas] if s.split == "train"], data), *_drawn()])
    held_out = [s for s in tiles if s.split == "calibration"]
    asked = _tissue(encoder, [*_tiles(held_out, data), *_clips(held_out, data)])
    space = Space.around(known.vectors)
    voters = voters_of(known, space)
    measured = measure_vote(
        voters,
        space,
        foreign_to(np.unique(voters.sites), known, space),
        encoder.sha256,
        tested=voters_of(asked, space),
    )
    return ReferenceTissue(
        known.mark,
        known.vectors,
        known.ids,
        known.groups,
        known.sites,
        known.diagnoses,
        known.fingerprints,
        known.colours,
        measured,
    )


def background_of(data: Path, encoder: FrameEncoder, count: int) -> ReferenceTissue:
    """Tiles of the training side as an encoder sees them, of each site as many as there are of others."""
    tiles, atlas = corpus.read_tiles(data), corpus.read_atlas_tiles(data, corpus.read_atlas(data))
    rng = np.random.default_rng(_SEED)
    by_site: dict[str, list[Sample]] = {}
    samples = [sample for sample in [*tiles, *atlas] if sample.split == "train"]
    for place in rng.permutation(len(samples)):
        by_site.setdefault(samples[place].site, []).append(samples[place])
    turns = zip_longest(*by_site.values())
    chosen = [sample for turn in turns for sample in turn if sample is not None][:count]
    return _tissue(encoder, _tiles(chosen, data))


@dataclass(frozen=True)
class _Shown:
    """A tile, or a clip over it: what is seen, and what is known of it."""

    frames: Callable[[], np.ndarray]
    """uint8 [T, H, W, 3]"""
    name: str
    group: str
    site: str
    diagnosis: str


def _tiles(samples: list[Sample], data: Path) -> list[_Shown]:
    return [
        _Shown(
            partial(_picture, sample.path),
            sample.path.relative_to(data).as_posix(),
            sample.group,
            sample.site,
            "" if sample.weak else sample.diagnosis,
        )
        for sample in samples
    ]


def _clips(samples: list[Sample], data: Path) -> list[_Shown]:
    """Pans and zooms over the same tiles, as videos show them."""
    return [
        replace(shown, frames=partial(clip_frames, sample), name=f"{shown.name} as a clip")
        for sample, shown in zip(samples, _tiles(samples, data), strict=True)
    ]


def _drawn() -> list[_Shown]:
    """Drawn slides, from which nano learned as well."""
    return [
        _Shown(
            partial(synthetic.render_clip, entity, seed, _FRAMES, _SIDE),
            f"drawn/{entity}/{seed}",
            f"drawn {entity} {seed}",
            site,
            entity,
        )
        for entity, site in synthetic.ENTITIES.items()
        for seed in range(_DRAWN)
    ]


def _picture(path: Path) -> np.ndarray:
    return read_picture(path, _LONGEST)[None]


def _tissue(encoder: FrameEncoder, shown: list[_Shown]) -> ReferenceTissue:
    vectors, prints, colours = [], [], []
    for number, one in enumerate(shown):
        frames = one.frames()
        vectors.append(picture_vector(encoder, frames, _VIEWS))
        prints.append(fingerprints(frames)[0])
        colours.append(colour_numbers(frames))
        if number % 200 == 0:
            print(f"\r{number} of {len(shown)}", end="", flush=True)
    print()
    return ReferenceTissue(
        EncoderMark.of(encoder).model_copy(update={"views": _VIEWS}),
        np.stack(vectors),
        np.array([one.name for one in shown]),
        np.array([one.group for one in shown]),
        np.array([one.site for one in shown]),
        np.array([one.diagnosis for one in shown]),
        np.stack(prints),
        np.stack(colours),
        None,
    )


if __name__ == "__main__":
    main()
