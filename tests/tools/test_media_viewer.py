"""Encoders of frames by name, the tower of a model as one of them, and what a viewer may open."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media
from videopath.model import load_engine, open_clip
from videopath.model.architecture.network import Network
from videopath.tools import RetrieveTool
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer
from videopath.tools.frame_encoders.picture_vectors import clip_vector
from videopath.tools.journal import Journal
from videopath.tools.schemas import ClipInput
from videopath.tools.session_pool import Recording, SessionPool


@pytest.fixture(scope="module")
def nano():  # noqa: ANN201 - importing the type would be early
    return load_engine("nano")


def field(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(60, 255, (9, 9, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((240, 180), Image.Resampling.BICUBIC)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    folder = tmp_path / "media"
    (folder / "clip").mkdir(parents=True)
    for number in range(4):
        field(number).save(folder / "clip" / f"{number}.png")
    field(9).save(folder / "image.png")
    return folder


def test_a_session_and_the_bare_tower_see_the_same(nano, media: Path) -> None:
    encoder = load_frame_encoder("tower", nano)
    assert (encoder.name, encoder.dimension) == ("tower:nano", 576)
    for path, frames in ((media / "clip", 4), (media / "image.png", 1)):
        clip = open_clip(path, frames=frames)
        with nano.open(clip) as session:
            seen = session.frame_vectors()
        assert seen.shape == (frames, 576)
        assert seen.dtype == np.float32
        assert np.linalg.norm(seen, axis=1) == pytest.approx(1, abs=1e-5)
        assert seen == pytest.approx(encoder.encode(clip.frames), abs=1e-4)
    assert np.linalg.norm(clip_vector(seen)) == pytest.approx(1, abs=1e-5)


def test_what_the_tower_saw_is_kept_and_journalled(
    nano, media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[int] = []
    encode = Network.encode_at_depths
    monkeypatch.setattr(
        Network, "encode_at_depths", lambda self, pixels: runs.append(len(pixels)) or encode(self, pixels)
    )
    pool, asked = SessionPool(nano), ClipInput(video=str(media / "clip"), frames=4)
    first = Recording(pool, Journal(tmp_path / "calls.jsonl")).open(asked).frame_vectors()
    assert runs == [4]  # when the clip was opened, and not again
    resumed = Recording(SessionPool(nano), Journal(tmp_path / "calls.jsonl")).open(asked).frame_vectors()
    assert runs == [4]
    assert resumed.dtype == np.float32
    assert np.array_equal(resumed, first)


def test_encoders_are_found_by_name(nano) -> None:
    assert load_frame_encoder("tower:nano").sha256 == load_frame_encoder("tower:nano", nano).sha256
    with pytest.raises(InputError, match="'gigapath' is not known; use tower:nano"):
        load_frame_encoder("gigapath")


ENCODER = """
import numpy as np

class MeanColour:
    name, sha256, dimension = "mean-colour", "0" * 64, 3

    def encode(self, frames):
        return frames.mean(axis=(1, 2), dtype=np.float32)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that offers an encoder of its own, as pip would leave it."""
    site = tmp_path / "site"
    info = site / "mean_colour-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "mean_colour.py").write_text(ENCODER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mean-colour\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[videopath.frame_encoders]\nmean-colour = mean_colour:MeanColour\n"
    )
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("mean_colour", None)


@pytest.mark.usefixtures("installed")
def test_any_encoder_is_plugged_in_by_a_name(media: Path, tmp_path: Path, nano) -> None:
    encoder = load_frame_encoder("mean-colour")
    records = [
        InstructionRecord(
            id="c",
            source="a",
            question="q",
            description="Glands.",
            diagnosis="x",
            media=(Media(path="clip"),),
        ),
        InstructionRecord(
            id="i",
            source="b",
            question="q",
            description="Glands.",
            diagnosis="y",
            media=(Media(path="image.png"),),
        ),
    ]
    base = KnowledgeBase.build(tmp_path / "kb", records, viewer=MediaViewer(encoder, media))
    assert base.image_encoder
    assert base.image_encoder.name == "mean-colour"
    tool = RetrieveTool(knowledge=base, engine=nano)
    blurred = tmp_path / "other.png"
    field(9).resize((60, 45)).rotate(30).save(blurred)  # of the same colour, nearly
    found = tool.invoke({"description": "Glands.", "clip": {"video": str(blurred)}})
    assert found.views == ["text", "image", "lexical"]
    assert found.notes == []
    copy = tmp_path / "copy.jpg"
    field(9).rotate(90, expand=True).save(copy, quality=70)
    found = tool.invoke({"description": "Glands.", "clip": {"video": str(copy)}})
    assert [(e.id, e.reason) for e in found.excluded] == [("i", "near-identical frame")]
    assert [neighbour.id for neighbour in found.neighbours] == ["c"]


def test_an_encoder_sees_filled_and_cropped_pictures(media: Path) -> None:
    class Keeper:
        name, sha256, dimension = "keeper", "2" * 64, 3

        def encode(self, frames: np.ndarray) -> np.ndarray:
            self.frames = frames
            return frames.mean(axis=(1, 2), dtype=np.float32)

    picture = np.asarray(field(9).resize((480, 360))).copy()
    cv2.rectangle(picture, (20, 20), (300, 60), (250, 250, 250), -1)
    cv2.putText(picture, "MRN 4839201", (30, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
    Image.fromarray(picture).save(media / "named.png")
    encoder, seen = Keeper(), {}
    viewer = MediaViewer(encoder, media, views="whole")
    cases = {
        "default": Media(path="named.png"),
        "kept": Media(path="named.png", writing="keep"),
        "part": Media(path="named.png", crop=(0.0, 0.0, 0.5, 1.0), writing="keep"),
    }
    for name, clip in cases.items():
        viewer.look(clip)
        seen[name] = encoder.frames[0]
    assert np.array_equal(seen["kept"], picture)
    assert np.array_equal(seen["part"], picture[:, :240])
    assert (seen["default"] != picture).any(axis=2)[30:50, 35:200].mean() > 0.9
    assert len({viewer.stamp(clip) for clip in cases.values()}) == 3


def test_pictures_of_another_tower_are_not_compared(media: Path, tmp_path: Path, nano) -> None:
    class Other:
        name, sha256, dimension = "tower:other", "1" * 64, 3

        def encode(self, frames: np.ndarray) -> np.ndarray:
            return frames.mean(axis=(1, 2), dtype=np.float32)

    record = InstructionRecord(
        id="c", source="a", question="q", description="Glands.", diagnosis="x", media=(Media(path="clip"),)
    )
    base = KnowledgeBase.build(tmp_path / "kb", [record], viewer=MediaViewer(Other(), media))
    found = RetrieveTool(knowledge=base, engine=nano).invoke(
        {"description": "Glands.", "clip": {"video": str(media / "image.png")}}
    )
    assert found.views == ["text", "lexical"]
    assert found.notes
    assert "tower:other" in found.notes[0]
    assert "not the tower of VideoPath-nano" in found.notes[0]


def test_the_tool_sees_what_the_model_sees(media: Path, tmp_path: Path, nano) -> None:
    viewer = MediaViewer(load_frame_encoder("tower", nano), media, frames=4)
    records = [
        InstructionRecord(
            id=name,
            source=name,
            question="q",
            description="Tissue.",
            diagnosis=name,
            media=(Media(path=path),),
        )
        for name, path in (("c", "clip"), ("i", "image.png"))
    ]
    base = KnowledgeBase.build(tmp_path / "kb", records, viewer=viewer)
    tool = RetrieveTool(knowledge=base, sessions=SessionPool(nano))
    asked = {"description": "", "clip": ClipInput(video=str(media / "clip"), frames=4), "k": 2}
    found = tool.invoke(asked)
    assert [e.id for e in found.excluded] == ["c"]  # the clip itself: its own frames
    assert [neighbour.id for neighbour in found.neighbours] == ["i"]
    assert found.neighbours[0].ranks == {"image": 1}


def test_what_shows_the_same_frame_leads_to_its_source_patient_and_group(
    media: Path, tmp_path: Path, nano
) -> None:
    field(5).save(media / "next.png")
    field(6).save(media / "elsewhere.png")

    def record(name: str, path: str, **fields: str) -> InstructionRecord:
        about = {"source": name, "question": "q", "description": "Glands.", "diagnosis": name, **fields}
        return InstructionRecord(id=name, media=(Media(path=path),), **about)

    records = [
        record("same", "image.png", patient="P 7", group="block 2", source="day-1/slide-9.svs"),
        record("patient", "next.png", patient="P 7"),
        record("group", "clip", group="block 2"),
        record("source", "clip", source="day-1/slide-9.svs"),
        record("other", "elsewhere.png", patient="P 8"),
    ]
    base = KnowledgeBase.build(
        tmp_path / "kb", records, viewer=MediaViewer(load_frame_encoder("tower", nano), media)
    )
    tool = RetrieveTool(knowledge=base, engine=nano)
    copy = tmp_path / "renamed.jpg"
    field(9).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(copy, quality=60)
    found = tool.invoke({"description": "Glands.", "clip": {"video": str(copy)}, "k": 3})
    assert [neighbour.id for neighbour in found.neighbours] == ["other"]
    told = {left.id: (left.reason, left.detail) for left in found.excluded}
    assert told.pop("same")[0] == "near-identical frame"
    assert {name: reason for name, (reason, _) in told.items()} == {
        n: n for n in ("patient", "group", "source")
    }
    assert told["patient"][1] == "P 7, as same, which shows nearly the same frame"
    assert found.excluded_count == 4

    part = {"video": str(copy), "crop": (0.0, 0.0, 0.5, 0.5)}  # nobody knows the whole by its corner
    asked = {"description": "Glands.", "clip": part, "k": 3}
    assert tool.invoke(asked).excluded == []
    assert tool.invoke({**asked, "also_shown": [{"video": str(copy)}]}).excluded_count == 4


def test_what_could_not_be_compared_is_said(media: Path, tmp_path: Path, nano) -> None:
    record = InstructionRecord(
        id="i",
        source="a",
        question="q",
        description="Glands.",
        diagnosis="x",
        media=(Media(path="image.png"),),
    )
    viewer = MediaViewer(load_frame_encoder("tower", nano), media)
    base = KnowledgeBase.build(tmp_path / "kb", [record], viewer=viewer)
    clip = {"video": str(media / "clip")}
    blind = RetrieveTool(knowledge=base).invoke({"description": "Glands.", "clip": clip})
    assert blind.views == ["text", "lexical"]
    assert "has no model to encode them" in blind.notes[0]
    wordless = RetrieveTool(knowledge=base, engine=nano).invoke({"description": " ", "clip": clip})
    assert (wordless.views, wordless.notes) == (
        ["image"],
        ["Words were not compared: there is no description."],
    )
    assert RetrieveTool(knowledge=base).invoke({"description": " ", "clip": clip}).neighbours == []
    starter = RetrieveTool(engine=nano).invoke({"description": "Glands.", "clip": clip})
    assert (starter.views, starter.notes) == (["text", "lexical"], [])


def test_a_viewer_stays_in_its_folder(media: Path, tmp_path: Path, nano) -> None:
    viewer = MediaViewer(load_frame_encoder("tower", nano), media)
    look = viewer.look(Media(path="image.png"))
    assert look.vectors.shape == (1, 576)
    assert look.fingerprints.shape == (1, 32)
    assert viewer.look(Media(path=str(media / "image.png"))).sha256 == look.sha256
    assert viewer.stamp(Media(path="image.png")) == viewer.stamp(Media(path="./image.png"))
    before = viewer.stamp(Media(path="clip"))
    field(7).save(media / "clip" / "2.png")  # a frame that is written over does not change its folder
    assert viewer.stamp(Media(path="clip")) != before
    field(1).save(tmp_path / "secret.png")
    (media / "link.png").symlink_to(tmp_path / "secret.png")
    for path in ("../secret.png", str(tmp_path / "secret.png"), "link.png", "clip/../../secret.png"):
        with pytest.raises(KnowledgeError, match="leads out of the media folder"):
            viewer.look(Media(path=path))
    with pytest.raises(InputError):
        viewer.look(Media(path="none.png"))
    (media / "circle").symlink_to(media / "circle")
    free = MediaViewer(viewer.encoder, None)
    for path in ("~nobody-of-this-name/a.png", "a\0b.png", str(media / "circle")):
        for seen_by in (viewer, free):
            with pytest.raises(KnowledgeError, match="is not a usable path"):
                seen_by.stamp(Media(path=path))
    assert free.look(Media(path=str(tmp_path / "secret.png"))).vectors.shape == (1, 576)
    with pytest.raises(KnowledgeError, match="not an absolute path"):
        free.look(Media(path="image.png"))
