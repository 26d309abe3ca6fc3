"""A case is never answered with itself: its video, a copy of it under another name, its patient, its group."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videopath.agent import DiagnosticAgent, Policy
from videopath.agent.cases.learning import add_to_knowledge
from videopath.agent.replay import replay
from videopath.agent.report.phrases import excluded_sentence
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media
from videopath.media.synthetic import render_case
from videopath.model import open_clip
from videopath.tools.context import ContextRules
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_case(tmp_path_factory.mktemp("video") / "case.mp4", seconds=2.0)


@pytest.fixture(scope="module")
def copy(video: Path) -> Path:
    """The same video, compressed again, smaller, flipped, and under another name."""
    import av

    folder = video.parent / "elsewhere"
    folder.mkdir()
    path = folder / "download-17.mp4"
    clip = open_clip(video, frames=16)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for frame in clip.frames[:, :, ::-1]:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture.reformat(320, 240, "yuv420p")))
        container.mux(stream.encode())
    return path


def record(name: str, **fields: object) -> InstructionRecord:
    about = {
        "source": f"{name}.mp4",
        "site": "colon",
        "question": "What is the best diagnosis for this colon tissue?",
        "description": "Crowded irregular glands with necrosis.",
        "diagnosis": "colon adenocarcinoma",
    }
    return InstructionRecord(id=name, **(about | fields))


def test_own_video_copies_patients_and_groups_are_left_out_and_told(
    video: Path, copy: Path, tmp_path: Path
) -> None:
    records = [
        record("own", source="case.mp4"),
        record("same file", media=(Media(path="case.mp4"),)),
        record("copy", media=(Media(path="elsewhere/download-17.mp4"),)),
        record("patient", patient="P 7"),
        record("group", group="block 2"),
        record("other", description="Regular crypts with goblet cells.", diagnosis="benign colon tissue"),
    ]
    viewer = MediaViewer(load_frame_encoder("tower:nano"), video.parent)
    base = KnowledgeBase.build(tmp_path / "kb", records, viewer=viewer)
    with DiagnosticAgent.load(knowledge=base, home=tmp_path / "home", policy=Policy(max_looks=0)) as agent:
        report = agent.diagnose(video, site="colon", exclude=["p 7", "Block 2"])
    assert {case.id: case.reason for case in report.excluded} == {
        "own": "source",
        "same file": "file",
        "copy": "near-identical frame",
        "patient": "patient",
        "group": "group",
    }
    assert report.excluded_count == 5
    assert [case.id for case in report.similar_cases] == ["other"]
    assert "5 records of the knowledge base could not be used" in excluded_sentence(report)
    assert "near-identical frame" in report.to_markdown()
    assert report.to_pdf().startswith(b"%PDF")
    retrieved = next(step for step in report.steps if step.name == "retrieve")
    assert retrieved.summary.endswith("5 may not be used")
    assert retrieved.model == "VideoPath-nano"
    assert report.similar_cases[0].ranks["text"] == 1
    assert report.settings.exclude == ["p 7", "Block 2"]
    bundle = report.save_bundle(tmp_path / "case.zip")
    again = replay(bundle, video, knowledge=base)
    assert again.differences == []
    assert again.report.excluded_count == 5


def test_a_signed_case_is_found_by_its_picture_and_not_by_itself(
    video: Path, copy: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "kb"
    with DiagnosticAgent.load(home=tmp_path / "home", policy=Policy(max_looks=0, review="always")) as agent:
        waiting = agent.diagnose(video, site="colon")
        decision = {"action": "edit", "reviewer": "Dr. A", "diagnosis": "tubular adenoma"}
        signed = agent.resume(waiting.case_id, decision)
    assert signed.status == "signed"
    name = add_to_knowledge(signed, folder, confirmed=True)
    base = KnowledgeBase.open(folder)
    known = base.get(name)
    assert known.diagnosis == "tubular adenoma"
    assert known.provenance["corrected"] == "diagnosis by Dr. A"
    assert base.info().views == ["text", "image", "lexical"]
    with DiagnosticAgent.load(knowledge=base, home=tmp_path / "home", policy=Policy(max_looks=0)) as agent:
        for path, reason in ((video, "file"), (copy, "near-identical frame")):
            report = agent.diagnose(path, site="colon")
            assert [(case.id, case.reason) for case in report.excluded] == [(name, reason)]
            assert report.similar_cases == []


def test_the_rules_of_the_context_belong_to_the_policy(video: Path, tmp_path: Path) -> None:
    few, many = (
        Policy(max_looks=0, context=rules)
        for rules in (ContextRules(ratio=1.0), ContextRules(ratio=0, least=0, gap=1, copy_words=2, rival=2))
    )
    kept = []
    for policy in (few, many):
        with DiagnosticAgent.load(home=tmp_path / "home", policy=policy) as agent:
            report = agent.diagnose(video, site="colon")
        kept.append(sum(case.kept for case in report.similar_cases))
        assert report.settings.policy["context"] == policy.context.model_dump()
    assert kept[0] <= 2
    assert kept[1] == policy.neighbours
