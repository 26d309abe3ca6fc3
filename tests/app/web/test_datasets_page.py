"""The page Data sets: drafts of a set are finished and discarded clip by clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videopath.dataset.instructions.drafts import list_drafts, read_instructions
from videopath.dataset.instructions.writing import write_instructions
from videopath.dataset.options import InstructionOptions
from videopath.dataset.records import Clips, Cue, Recording, RefinedClip, Segment, Segments, Transcript
from videopath.dataset.set_folder import SetFolder


@pytest.fixture
def drafted(tmp_path: Path) -> SetFolder:
    """A set with two clips and their drafts; the clips are no videos, since nothing here plays them."""
    folder = SetFolder(tmp_path / "my set")
    recording = Recording(
        id="a1b2", path="lectures/<b>one</b>.mp4", sha256="a" * 64, seconds=40, width=640, height=480, fps=8
    )
    folder.clips.mkdir(parents=True)
    clips = []
    for case, start in ((1, 3.0), (2, 20.0)):
        file = folder.clips / f"a1b2-case-{case}.mp4"
        file.write_bytes(b"video")
        clips.append(
            RefinedClip(
                id=f"a1b2-case-{case}", product="case video", file=f"clips/{file.name}", sha256="0" * 64, start=start,
                end=start + 10, case=case, title=f"Case {case}: breast mass", fps=2, frames=20, width=320, height=256,
                crop=(0, 0, 1, 1), crop_by="colour and stain", writing="mask-all", cursor="leave",
            )
        )  # fmt: skip
    segments = Segments(
        segments=(
            Segment(start=0, end=3, kind="title card", title="Case 1: breast mass"),
            Segment(start=3, end=13, kind="slide", case=1),
            Segment(start=13, end=20, kind="title card", title="Case 2: breast mass"),
            Segment(start=20, end=30, kind="slide", case=2),
        )
    )
    cue = Cue(start=5, end=9, text="Small *cells* in files, a lobular carcinoma.")
    transcript = Transcript(origin="subtitle file", sentence="", cues=(cue,))
    folder.add(recording)
    folder.write_result(recording, "clips", Clips(clips=tuple(clips)), "x")
    folder.write_result(recording, "segments", segments, "x")
    folder.write_result(recording, "transcript", transcript, "x")
    made = write_instructions(
        recording, Clips(clips=tuple(clips)), transcript, segments, InstructionOptions(), folder, None
    )
    folder.write_result(recording, "instructions", made, "x")
    return folder


def _shown(app: Callable[..., Any], folder: SetFolder) -> Any:
    test = app("datasets").run()
    test.text_input(key="set_folder").set_value(str(folder.path)).run()
    assert not test.exception
    return test


def _all_text(test: Any) -> str:
    kinds = (test.markdown, test.text, test.caption, test.info, test.error, test.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_a_folder_that_is_no_set_is_told(app: Callable[..., Any], tmp_path: Path) -> None:
    test = app("datasets").run()
    assert "folder of a set" in test.info[0].value
    test.text_input(key="set_folder").set_value(str(tmp_path)).run()
    assert not test.exception
    assert "is not a set" in test.error[0].value


def test_a_person_finishes_drafts_clip_by_clip(app: Callable[..., Any], drafted: SetFolder) -> None:
    test = _shown(app, drafted)
    assert "Small *cells* in files" in _all_text(test)
    assert "Clip 1 of 2 with drafts" in _all_text(test)
    name = "a1b2-case-1"
    assert test.text_input(key=f"answer_{name}-diagnosis").value == "lobular carcinoma"
    assert test.selectbox(key=f"site_{name}-diagnosis").value == "breast"
    test.text_area(key=f"answer_{name}-description").set_value("Small cells lie in single files.")
    test.text_area(key=f"reasoning_{name}-diagnosis").set_value("Single files mean loss of cohesion.")
    test.checkbox(key=f"alone_{name}-description").check()
    test.text_input(key="draft_who").set_value("AB")
    test.button(key="save_draft").click().run()
    assert not test.exception
    assert test.success[0].value == "Saved: description and diagnosis."
    assert "Clip 1 of 1 with drafts" in _all_text(test)
    written = read_instructions(drafted, drafted.recordings()[0])
    assert written is not None
    described, diagnosed = written.pairs[:2]
    assert (described.answer, described.blind, described.origin) == (
        "Small cells lie in single files.", True, "person",
    )  # fmt: skip
    assert diagnosed.answer == "Diagnosis: lobular carcinoma"
    assert diagnosed.reasoning == "Single files mean loss of cohesion."
    test.button(key="discard_draft").click().run()
    assert not test.exception
    assert "No draft is left" in _all_text(test)
    assert list_drafts(drafted) == []


def test_other_clips_can_be_gone_to_and_nothing_empty_is_saved(
    app: Callable[..., Any], drafted: SetFolder
) -> None:
    test = _shown(app, drafted)
    assert test.button(key="previous_clip").disabled
    test.button(key="next_clip").click().run()
    assert "Clip 2 of 2 with drafts" in _all_text(test)
    assert "Nothing is said in these seconds." in _all_text(test)
    test.button(key="save_draft").click().run()
    assert "Nothing is filled in" in _all_text(test)
    test.text_area(key="answer_a1b2-case-2-description").set_value("MRN 4839201 DOE JOHN")
    test.button(key="save_draft").click().run()
    assert "Nothing was saved" in _all_text(test)
    assert len(list_drafts(drafted)) == 4


def test_a_damaged_set_is_told(app: Callable[..., Any], drafted: SetFolder) -> None:
    (drafted.path / "recordings" / "a1b2" / "clips.json").write_text("{")
    test = _shown(app, drafted)
    assert "is damaged" in _all_text(test)


def test_nothing_outside_of_the_allowed_folders_is_opened(
    app: Callable[..., Any], drafted: SetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slides").mkdir()
    monkeypatch.setenv("VIDEOPATH_FOLDERS", str(tmp_path / "slides"))
    assert "lies outside of the allowed folders" in _all_text(_shown(app, drafted)).replace("\\", "")
