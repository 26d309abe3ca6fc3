"""What the cases' vote adds to a case: nano with the starter, and with a knowledge base of 5,000 cases, on two threads.

    python benchmarks/vote.py [--cases 5000] [--threads 2]

A case's eight frames are seen by the tower once more, in parts; then the nearest cases vote and are judged. Both are set
beside the questions that the same case costs anyway. Vectors of the large base are drawn, its records have a word each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from videopath.knowledge import EncodedMedia, InstructionRecord, KnowledgeBase, Media
from videopath.knowledge.index.encoders import FrameEncoder
from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES
from videopath.media.synthetic import render_case
from videopath.model import load_engine
from videopath.model.inference.spec import NANO
from videopath.tools import DescribeTool, DiagnoseTool, RetrieveTool
from videopath.tools.frame_encoders.loading import TOWER, load_frame_encoder
from videopath.tools.schemas import ClipInput
from videopath.tools.session_pool import SessionPool

_REPEATS = 5
_GROUP = 3  # cases of a patient
_DIAGNOSES = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as folder:
        video = render_case(Path(folder) / "case.mp4", seconds=2, size=(640, 480))
        engine = load_engine(NANO)
        pool = SessionPool(engine)
        clip = {"video": str(video), "site": "colon"}
        questions = _timed(lambda: _questions(pool, clip), 1)
        encoder = load_frame_encoder(TOWER, engine)
        request = ClipInput(video=str(video))
        seen = _timed(lambda: pool.open(request).picture_vector(encoder, "parts"))
        print(f"describe and two diagnoses   {questions:.3f} s")
        print(f"the picture, seen in parts   {seen:.3f} s")
        large = KnowledgeBase.build(Path(folder) / "kb", _records(asked.cases), viewer=_Drawn(encoder))
        asked_of = {"description": "", "k": 5, "clip": {"video": str(video)}, "site": "colon"}
        for name, knowledge in (("the starter", None), (f"{asked.cases:,} cases", large)):
            tool = RetrieveTool(knowledge=knowledge, sessions=pool)
            tool.invoke(asked_of)  # the files are opened
            with_vote = _timed(partial(tool.invoke, asked_of))
            print(f"retrieve with the vote, {name:<14} {with_vote:.3f} s, the picture included")


def _questions(pool: SessionPool, clip: dict[str, str]) -> None:
    described = DescribeTool(sessions=pool).invoke(clip)
    for _ in range(2):
        DiagnoseTool(sessions=pool).invoke({**clip, "description": described.description, "samples": 0})


def _records(count: int) -> list[InstructionRecord]:
    return [
        InstructionRecord(
            id=f"r{number}",
            source=f"s{number}",
            site="colon",
            question="What is it?",
            diagnosis=f"diagnosis {number // _GROUP % _DIAGNOSES}",
            patient=f"p{number // _GROUP}",
            media=(Media(path=f"{number}.png"),),
        )
        for number in range(count)
    ]


class _Drawn:
    """Sees every case as a drawn vector near that of its diagnosis."""

    name, views = "tower:nano", "parts"

    def __init__(self, encoder: FrameEncoder) -> None:
        self.sha256, self.dimension = encoder.sha256, encoder.dimension

    def stamp(self, media: Media) -> str:
        return media.path

    def look(self, media: Media) -> EncodedMedia:
        number = int(Path(media.path).stem)
        centre = np.random.default_rng(number // _GROUP % _DIAGNOSES).normal(size=self.dimension)
        vector = centre + 0.5 * np.random.default_rng((number, 1)).normal(size=self.dimension)
        prints = np.random.default_rng((number, 2)).integers(0, 255, (1, FINGERPRINT_BYTES), dtype=np.uint8)
        return EncodedMedia(
            (vector / np.linalg.norm(vector)).astype(np.float32)[None], prints, f"{number:064x}"
        )


def _timed(run: Callable[[], object], repeats: int = _REPEATS) -> float:
    """Seconds of the quickest of several runs."""
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - begun)
    return best


if __name__ == "__main__":
    main()
