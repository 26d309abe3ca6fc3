"""Find similar cases by an image encoder of your own: python examples/own_frame_encoder.py

An encoder has ``name``, ``sha256``, ``dimension`` and ``encode``. This one is a histogram of colours, so that the example
needs no weights. Put your network in its place, a foundation model for pathology for example. Offer it in the
``pyproject.toml`` of your package, so that ``--image-encoder stain-histogram`` and the agent find it by its name:

    [project.entry-points."videopath.frame_encoders"]
    stain-histogram = "my_package:StainHistogram"
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from videopath.knowledge import InstructionRecord, KnowledgeBase, Media, Query
from videopath.media.synthetic import ENTITIES, render_slide
from videopath.tools.frame_encoders.media_viewer import MediaViewer


class StainHistogram:
    """Encode a frame as the histogram of each colour channel."""

    name = "stain-histogram"
    dimension = 48
    sha256 = hashlib.sha256(b"stain-histogram 1").hexdigest()  # of the weights, where an encoder has some

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Encode frames uint8 [T, H, W, 3] RGB as float32 [T, dimension]."""
        levels = frames // 16  # 16 a channel
        rows = [[np.bincount(one[..., c].ravel(), minlength=16) for c in range(3)] for one in levels]
        counts = np.array(rows, np.float32).reshape(len(frames), self.dimension)
        return np.sqrt(counts / counts.sum(axis=1, keepdims=True))


def record(folder: Path, diagnosis: str, seed: int) -> InstructionRecord:
    """Draw a slide and make a record of it."""
    name, question = f"{diagnosis} {seed}", "What is the best diagnosis for this tissue?"
    Image.fromarray(render_slide(diagnosis, seed, 320, 320)).save(folder / f"{name}.png")
    case = {"id": name, "source": name, "site": ENTITIES[diagnosis], "diagnosis": diagnosis}
    return InstructionRecord(question=question, media=(Media(path=f"{name}.png"),), **case)


with tempfile.TemporaryDirectory() as temporary:
    media = Path(temporary)
    viewer = MediaViewer(StainHistogram(), media)
    cases = [record(media, diagnosis, seed) for diagnosis in ENTITIES for seed in range(8)]
    base = KnowledgeBase.build(media / "base", cases, viewer=viewer)
    print(f"{base.image_encoder.name}: {len(base)} records, {base.image_encoder.dimension} numbers a picture")
    look = viewer.look(record(media, "normal oral epithelium", 99).media[0])
    for hit in base.find(Query(image=look.vectors), k=5).hits:
        print(f"{hit.score:.3f} {hit.record.id}")
