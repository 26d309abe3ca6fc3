"""The cases of a knowledge base vote: with real pictures, nano's tower, and every file on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media, Query
from videopath.knowledge.storage.manifest import read_manifest
from videopath.media.synthetic import render_slide
from videopath.tools import RetrieveTool
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer
from videopath.tools.frame_encoders.picture_vectors import picture_vector

ENTITIES = {
    "adenocarcinoma of our archive": "colon adenocarcinoma",
    "mucosa of our archive": "benign colon tissue",
}
PATIENTS, TILES = 8, 2


def tile(folder: Path, entity: str, patient: int, number: int) -> Path:
    path = folder / f"{entity.replace(' ', '-')}-{patient}-{number}.png"
    slide = render_slide(entity, patient * 10 + number, 240, 240, scale=1.2)
    Image.fromarray(slide).save(path)
    return path


def record(folder: Path, name: str, patient: int, number: int) -> InstructionRecord:
    path = tile(folder, ENTITIES[name], patient, number)
    return InstructionRecord(
        id=path.stem,
        source=path.stem,
        site="colon",
        question="What is it?",
        description="A case of the archive.",
        diagnosis=name,
        patient=f"{name} {patient}",
        media=(Media(path=path.name),),
    )


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tiles")


@pytest.fixture(scope="module")
def viewer(media: Path, nano_engine) -> MediaViewer:  # noqa: ANN001
    return MediaViewer(load_frame_encoder("tower", nano_engine), media)


@pytest.fixture(scope="module")
def archive(media: Path, viewer: MediaViewer, tmp_path_factory: pytest.TempPathFactory) -> KnowledgeBase:
    records = [
        record(media, name, patient, number)
        for name in ENTITIES
        for patient in range(PATIENTS)
        for number in range(TILES)
    ]
    return KnowledgeBase.build(tmp_path_factory.mktemp("archive") / "kb", records, viewer=viewer)


@pytest.fixture
def run() -> Callable[..., Result]:
    from videopath.app.cli.main import app

    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


def query(viewer: MediaViewer, path: Path, **more: object) -> Query:
    image = picture_vector(viewer.encoder, np.asarray(Image.open(path).convert("RGB"))[None], viewer.views)
    return Query(image=image, **more)


def test_a_build_measures_itself(archive: KnowledgeBase) -> None:
    found = archive.measure
    assert found is not None
    assert (found.cases, found.groups) == (PATIENTS * TILES * 2, PATIENTS * 2)
    assert found.accuracy.value > 0.8
    assert found.background > 500  # the reference tissue of other organs
    manifest = read_manifest(archive.folder)
    assert manifest.measures is not None
    assert (archive.folder / manifest.measures.name).is_file()
    assert manifest.image_encoder
    assert manifest.image_encoder.views == "parts"
    assert archive.verify() == []


def test_the_cases_vote_on_a_new_picture(archive: KnowledgeBase, viewer: MediaViewer, tmp_path: Path) -> None:
    for name, entity in ENTITIES.items():
        vote = archive.vote(query(viewer, tile(tmp_path, entity, 90, 0), site="colon"))
        assert vote is not None
        assert vote.leading == name
        assert len({ballot.group for ballot in vote.ballots}) == len(vote.ballots) == 10
        assert set(vote.shares) == set(ENTITIES)


def test_what_a_query_excludes_does_not_vote(
    archive: KnowledgeBase, viewer: MediaViewer, media: Path
) -> None:
    name = next(iter(ENTITIES))
    own = tile(media, ENTITIES[name], 0, 0)
    found = archive.vote(query(viewer, own))
    without = archive.vote(query(viewer, own, exclude=(f"{name} 0",)))
    assert found is not None
    assert without is not None
    assert found.nearness == pytest.approx(1, abs=1e-3)
    assert without.nearness < 0.99
    assert f"{name} 0" not in {ballot.group for ballot in without.ballots}
    with pytest.raises(InputError, match="576 numbers"):
        archive.vote(Query("words alone"))


def test_each_change_is_measured_and_an_old_base_when_it_is_asked(
    archive: KnowledgeBase, viewer: MediaViewer, media: Path, tmp_path: Path
) -> None:
    import shutil

    base = KnowledgeBase.open(shutil.copytree(archive.folder, tmp_path / "kb"))
    name = next(iter(ENTITIES))
    base.add([record(media, name, 50, n) for n in range(2)], viewer=viewer)
    assert base.measure is not None
    assert base.measure.groups == PATIENTS * 2 + 1
    base.remove([tile(media, ENTITIES[name], 50, n).stem for n in range(2)])
    assert base.measure == archive.measure
    manifest = read_manifest(base.folder)
    before = manifest.model_copy(
        update={"measures": None}
    )  # as a base was written before there were measures
    (base.folder / "manifest.json").write_text(before.to_text(), encoding="utf-8")
    old = KnowledgeBase.open(base.folder)
    assert old.measure == archive.measure
    old.remeasure()
    assert read_manifest(base.folder).measures is not None
    assert old.changes()[-1].action == "measure"


def test_a_damaged_measure_is_told(archive: KnowledgeBase, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(archive.folder, tmp_path / "kb")
    measures = read_manifest(folder).measures
    assert measures is not None
    (folder / measures.name).write_text("{}", encoding="utf-8")
    with pytest.raises(KnowledgeError, match="is damaged"):
        KnowledgeBase.open(folder)


def test_the_tool_tells_the_vote_and_what_it_would_be_without(
    archive: KnowledgeBase, nano_engine: object, tmp_path: Path
) -> None:
    name, entity = next(iter(ENTITIES.items()))
    path = tile(tmp_path, entity, 91, 0)
    tool = RetrieveTool(knowledge=archive, engine=nano_engine)
    asked = {"description": "", "site": "colon", "clip": {"video": str(path)}}
    vote = tool.invoke(asked).vote
    assert vote.diagnosis == name
    assert vote.deciding
    assert vote.without in ("", *ENTITIES)
    assert "cases of 16 groups" in vote.measured_on
    fewer = tool.invoke({**asked, "drop": vote.deciding}).vote
    assert not set(vote.deciding) & {ballot.id for ballot in fewer.ballots}
    kept = tool.invoke({**asked, "k": 5}).kept
    assert len(kept) > 1  # one template for all descriptions does not make the cases copies
    own = RetrieveTool(knowledge=archive, engine=nano_engine).invoke(asked).known_tissue
    assert own is not None  # nano's own tiles, beside the archive's cases


def test_the_starter_votes_by_the_tiles_that_nano_learned_from(nano_engine: object, shared: Path) -> None:
    from videopath.training.data.corpus import read_tiles

    tiles = read_tiles(shared / "data")
    new = next(t for t in tiles if t.label == "colon_aca" and t.split == "test")
    known = next(t for t in tiles if t.label == "colon_aca" and t.split == "train")
    tool = RetrieveTool(engine=nano_engine)
    found = tool.invoke({"description": "", "site": "colon", "clip": {"video": str(new.path)}})
    assert found.voters_are_known_tissue
    assert found.known_tissue is None
    assert set(found.vote.shares) == {"colon adenocarcinoma", "benign colon tissue"}
    own = tool.invoke({"description": "", "site": "colon", "clip": {"video": str(known.path)}}).vote
    assert known.group not in {ballot.group for ballot in own.ballots}  # never answered with itself
    assert tool.invoke({"description": "", "site": "bone", "clip": {"video": str(new.path)}}).vote is None


def test_the_command_shows_the_measure(archive: KnowledgeBase, run: Callable[..., Result]) -> None:
    shown = run("knowledge", "measure", archive.folder)
    assert shown.exit_code == 0, shown.stderr
    assert "32 cases with pictures" in shown.stdout
    for name in ENTITIES:
        assert name in shown.stdout
    figures = json.loads(run("knowledge", "measure", archive.folder, "--json").stdout)
    assert figures["groups"] == 16
    assert run("knowledge", "measure", archive.folder, "--anew").exit_code == 0
    assert run("knowledge", "measure", "--anew").exit_code == 1  # the starter is not changed


@pytest.mark.slow
def test_a_model_is_measured_together_with_the_cases(
    archive: KnowledgeBase, media: Path, tmp_path: Path, run: Callable[..., Result]
) -> None:
    import shutil

    from videopath.agent import DiagnosticAgent, Policy

    folder = shutil.copytree(archive.folder, tmp_path / "kb")
    done = run("knowledge", "measure", folder, "--model", "nano", "--cases", "32", "--media", media, "--json")
    assert done.exit_code == 0, done.stderr
    (found,) = json.loads(done.stdout)["models"].values()
    assert (found["name"], found["cases"], found["groups"]) == ("VideoPath-nano", 32, 16)
    assert found["calibration"]["fusion.cases"] > found["calibration"]["fusion.model"]
    name, entity = next(iter(ENTITIES.items()))
    with DiagnosticAgent.load("nano", folder, policy=Policy(max_looks=0)) as agent:
        report = agent.diagnose(tile(tmp_path, entity, 92, 0), site="colon")
    verified = next(step for step in report.steps if step.name == "verify")
    assert verified.detail["basis"] == "fused"
    assert report.diagnosis == name
    assert report.vouchers[0].measured_on.startswith("32 cases of 16 groups")
    refused = run("knowledge", "measure", folder, "--model", "nano", "--media", tmp_path)
    assert (refused.exit_code, "have a picture file on this machine" in refused.stderr) == (2, True)
    assert run("knowledge", "measure", "--model", "nano").exit_code == 2  # the starter is not changed
