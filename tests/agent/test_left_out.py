"""What may not be used stays out of every look, however little of the video that look shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from videopath.agent import DiagnosticAgent, Policy
from videopath.core.errors import InputError
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media
from videopath.media.synthetic import render_case
from videopath.model import open_clip
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer


def _record(name: str, **fields: Any) -> InstructionRecord:
    about = {"source": name, "site": "colon", "question": "q", "diagnosis": "colon adenocarcinoma"}
    return InstructionRecord(
        id=name, **{**about, "description": f"Irregular glands, as in {name}.", **fields}
    )


def test_a_closer_look_knows_a_copy_by_the_whole_clip(tmp_path: Path, nano_engine: Any) -> None:
    video = render_case(tmp_path / "case.mp4", seconds=2.0)
    copy = tmp_path / "copy"
    copy.mkdir()
    for number, frame in enumerate(open_clip(video, frames=4).frames):
        Image.fromarray(frame[:, ::-1]).save(copy / f"{number}.jpg", quality=70)
    records = [
        _record("copy", media=(Media(path="copy"),), patient="P 7"),
        _record("sibling", patient="P 7"),
        _record("other"),
    ]
    viewer = MediaViewer(load_frame_encoder("tower", nano_engine), tmp_path)
    base = KnowledgeBase.build(tmp_path / "kb", records, viewer=viewer)
    unsure = Policy(max_looks=1, abstain_threshold=1.0, samples=0)
    with DiagnosticAgent.load(nano_engine, base, policy=unsure, home=tmp_path / "home") as agent:
        report = agent.diagnose(video, site="colon")
    looked, closer = [step.detail for step in report.steps if step.name == "retrieve"]
    assert closer["clip"]["crop"] is not None
    assert (looked["also_shown"], closer["also_shown"]) == ([], [looked["clip"]])
    for detail in (looked, closer):
        found = detail["result"]
        assert [neighbour["id"] for neighbour in found["neighbours"]] == ["other"]
        assert {left["id"]: left["reason"] for left in found["excluded"]} == {
            "copy": "near-identical frame",
            "sibling": "patient",
        }
    assert report.excluded_count == 2


def test_names_to_exclude_are_cleaned_and_kept_with_the_case(
    tmp_path: Path, nano_engine: Any, small_case: Path
) -> None:
    with DiagnosticAgent.load(nano_engine, home=tmp_path) as agent:
        case_id = agent.begin(small_case, exclude=[" P 7 ", "", "P 7", "block 2"])
        inputs = (agent.library.folder(case_id) / "inputs.json").read_text(encoding="utf-8")
        assert '"exclude": [\n      "P 7",\n      "block 2"\n    ]' in inputs
        with pytest.raises(InputError, match="not valid"):
            agent.begin(small_case, exclude=["bad \ud800 name"])
        assert len(agent.library.list()) == 1
