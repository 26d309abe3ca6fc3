"""The knowledge page: search by words and by a frame, records added and removed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videopath.app.web.components.knowledge.bases import open_base
from videopath.core.errors import KnowledgeError
from videopath.knowledge import Embedder, InstructionRecord, KnowledgeBase, Media
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve records of the starter, in a folder of their own."""
    folder = tmp_path_factory.mktemp("base") / "ward 3"
    KnowledgeBase.build(folder, list(KnowledgeBase.starter())[:12])
    return folder


@pytest.fixture
def ward(small_base: Path, own_home: Path) -> Path:
    """The same among the home's own knowledge bases."""
    return Path(copytree(small_base, own_home / "knowledge" / "ward 3"))


@pytest.fixture(scope="module", autouse=True)
def _embedder_imported() -> None:
    """Its libraries take long to import where much else runs: not within the time that a page is given."""
    KnowledgeBase.starter().search("tissue", k=1)


@pytest.fixture(autouse=True)
def _forget_bases() -> Any:
    yield
    import streamlit as st

    st.cache_resource.clear()


def _records(test: Any, place: str) -> list[str]:
    """The ids of the records with a Remove button in a tab."""
    start = f"remove_{place}_"
    return [button.key.removeprefix(start) for button in test.button if (button.key or "").startswith(start)]


def _all_text(test: Any) -> str:
    kinds = (test.markdown, test.text, test.caption, test.info, test.error, test.success)
    return "\n".join(element.value for kind in kinds for element in kind)


def test_the_page_loads_no_folder_that_a_manifest_names(tmp_path: Path) -> None:
    own = tmp_path / "own"
    copytree(Embedder().folder, own)
    KnowledgeBase.build(tmp_path / "base", list(KnowledgeBase.starter())[:3], str(own))
    with pytest.raises(KnowledgeError, match="if you trust it"):
        open_base(tmp_path / "base")


def test_the_starter_is_shown_and_fixed(app: Callable[..., Any]) -> None:
    test = app("knowledge").run()
    assert not test.exception
    assert test.selectbox(key="knowledge_base").value == "bundled starter"
    assert int(test.metric[0].value.replace(",", "")) == len(KnowledgeBase.starter())
    assert _records(test, "all") == []
    assert "cannot be changed" in _all_text(test)


def test_search_by_text(app: Callable[..., Any]) -> None:
    test = app("knowledge").run()
    test.text_area(key="query").set_value("crowded angulated glands with dark nuclei in the colon")
    test.selectbox(key="query_site").set_value("colon")
    test.number_input(key="query_number").set_value(3)
    test.button(key="search_text").click().run()
    assert not test.exception
    assert "colon adenocarcinoma" in _all_text(test)
    assert "from videopath" in _all_text(test).replace("\\", "")


def test_bases_of_the_home_folder_can_be_chosen(app: Callable[..., Any], ward: Path) -> None:
    test = app("knowledge").run()
    assert test.selectbox(key="knowledge_base").options == ["bundled starter", "ward 3"]
    test.selectbox(key="knowledge_base").set_value("ward 3").run()
    assert test.metric[0].value == "12"
    assert len(_records(test, "all")) == 10  # the first page


def test_a_folder_without_a_base_is_told(
    app: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPATH_KNOWLEDGE", str(tmp_path))
    test = app("knowledge").run()
    assert not test.exception
    assert "holds no knowledge base" in _all_text(test)


def test_remove_asks_first(app: Callable[..., Any], ward: Path) -> None:
    test = app("knowledge").run()
    test.selectbox(key="knowledge_base").set_value("ward 3").run()
    first, second = _records(test, "all")[:2]
    test.button(key=f"remove_all_{first}").click().run()
    test.button(key="cancel_remove").click().run()
    assert len(KnowledgeBase.open(ward)) == 12
    test.button(key=f"remove_all_{first}").click().run()
    test.button(key="confirm_remove").click().run()
    assert not test.exception
    assert len(KnowledgeBase.open(ward)) == 11
    assert _records(test, "all")[0] == second
    assert KnowledgeBase.open(ward).verify() == []


def test_a_record_is_added(app: Callable[..., Any], ward: Path) -> None:
    test = app("knowledge").run()
    test.selectbox(key="knowledge_base").set_value("ward 3").run()
    test.text_input(key="add_diagnosis").set_value("hyperplastic polyp")
    test.text_area(key="add_description").set_value("Serrated crypts in the upper half, a narrow base.")
    test.text_input(key="add_source").set_value("slide 17")
    test.button(key="add").click().run()
    assert not test.exception
    added = list(KnowledgeBase.open(ward))[-1]
    assert (added.diagnosis, added.source, added.licence) == ("hyperplastic polyp", "slide 17", "unspecified")
    assert "Added" in test.success[0].value
    assert test.text_input(key="add_diagnosis").value == ""


def test_what_is_missing_in_a_record_is_named(app: Callable[..., Any], ward: Path) -> None:
    test = app("knowledge").run()
    test.selectbox(key="knowledge_base").set_value("ward 3").run()
    test.button(key="add").click().run()
    assert "Source is empty" in _all_text(test)
    test.text_input(key="add_source").set_value("slide 17")
    test.button(key="add").click().run()
    assert "neither a description nor a diagnosis" in _all_text(test)
    assert len(KnowledgeBase.open(ward)) == 12


def test_a_record_beside_the_starter_begins_a_base_of_ones_own(
    app: Callable[..., Any], own_home: Path
) -> None:
    test = app("knowledge").run()
    test.text_input(key="add_diagnosis").set_value("granuloma")
    test.text_input(key="add_source").set_value("slide 1")
    test.text_input(key="new_base").set_value("../outside")
    test.button(key="add").click().run()
    assert "name must start with a letter" in _all_text(test)
    test.text_input(key="new_base").set_value("my cases")
    test.button(key="add").click().run()
    assert not test.exception
    assert [record.diagnosis for record in KnowledgeBase.open(own_home / "knowledge" / "my cases")] == [
        "granuloma"
    ]
    assert "my cases" in test.selectbox(key="knowledge_base").options


def test_texts_of_a_record_stay_inert(app: Callable[..., Any], own_home: Path) -> None:
    from videopath.knowledge import InstructionRecord

    record = InstructionRecord(
        id="x",
        source="<img src=http://a.example/b>",
        question="q",
        description="**d** <script>alert(1)</script>",
        diagnosis=":red[carcinoma]",
    )
    KnowledgeBase.build(own_home / "knowledge" / "odd", [record])
    test = app("knowledge").run()
    test.selectbox(key="knowledge_base").set_value("odd").run()
    assert not test.exception
    formatted = "\n".join(e.value for e in (*test.markdown, *test.caption))
    assert "<img" not in formatted.replace(r"\<img", "")
    assert ":red[" not in formatted
    assert "**d** <script>" in "\n".join(e.value for e in test.text)  # plain text, never read as markup


def test_search_by_a_frame_of_a_video(app: Callable[..., Any], clip: Path) -> None:
    test = app("knowledge").run()
    test.text_input(key="frame_path").set_value(str(clip))
    test.number_input(key="frame_second").set_value(1.0)
    test.button(key="search_frame").click().run()
    assert not test.exception
    latest = time.monotonic() + 60
    while "The model's description" not in _all_text(test) and time.monotonic() < latest:
        time.sleep(0.3)
        test.run()
    assert not test.exception
    assert "The model's description" in _all_text(test)
    assert "similarity" in "\n".join(str(p.proto.text) for p in test.get("progress"))


def _looked(test: Any, until: str) -> str:
    """Everything that the page says once it says this."""
    latest = time.monotonic() + 60
    while until not in _with_progress(test) and time.monotonic() < latest:
        time.sleep(0.3)
        test.run()
    assert not test.exception
    return _with_progress(test)


def _with_progress(test: Any) -> str:
    bars = (str(bar.proto.text) for bar in test.get("progress"))
    warnings = (warning.value for warning in test.warning)
    return "\n".join([_all_text(test), *bars, *warnings]).replace("\\", "")


@pytest.fixture
def pictures(own_home: Path, clip: Path, tmp_path: Path, nano_engine: Any) -> KnowledgeBase:
    """Two records with pictures, seen by nano: a frame of the clip, and another that is nothing like it."""
    from videopath.app.web.runtime.playable import frame_at

    Image.fromarray(frame_at(clip, 1.0)).save(tmp_path / "alike.png")
    Image.effect_noise((96, 96), 120).save(tmp_path / "unlike.png")
    signed = {"case": "c-1", "reviewer": "Dr <b>Ash</b>", "corrected": "diagnosis by Dr Ash"}
    records = [
        InstructionRecord(
            id=name,
            source=name,
            question="q",
            description="Glands.",
            diagnosis=name,
            media=(Media(path=f"{name}.png"),),
            provenance=signed if name == "alike" else {},
        )
        for name in ("unlike", "alike")
    ]
    viewer = MediaViewer(load_frame_encoder("tower", nano_engine), tmp_path)
    return KnowledgeBase.build(own_home / "knowledge" / "pictures", records, viewer=viewer)


def _search_frame(app: Callable[..., Any], clip: Path) -> Any:
    test = app("knowledge").run()
    test.selectbox(key="knowledge_base").set_value("pictures").run()
    test.text_input(key="frame_path").set_value(str(clip))
    test.number_input(key="frame_second").set_value(1.0)
    return test


def _found_by_frame(test: Any) -> list[str]:
    """The ids of the found records in their order."""
    return _records(test, "frame")


@pytest.mark.usefixtures("pictures")
def test_search_by_a_frame_is_by_the_picture_itself(app: Callable[..., Any], clip: Path) -> None:
    test = _search_frame(app, clip)
    assert not test.checkbox(key="frame_words").value
    test.button(key="search_frame").click().run()
    said = _looked(test, "ranks: text –, image 1, lexical –")
    assert _found_by_frame(test) == ["alike", "unlike"]
    assert "The model's description" not in said
    assert "corrected: diagnosis by Dr Ash" in said
    assert "reviewer: Dr <b>Ash</b>" in said
    test.checkbox(key="frame_words").check()
    test.button(key="search_frame").click().run()
    said = _looked(test, "The model's description")
    assert "image 1, lexical" in said


def test_pictures_of_another_model_are_not_compared(
    app: Callable[..., Any], clip: Path, pictures: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videopath.model.inference.frame_vectors.tower_sha256", lambda info: "1" * 64)
    test = _search_frame(app, clip)
    test.button(key="search_frame").click().run()
    said = _looked(test, "cannot be compared")
    assert "The frame has no description: search again." in said
    assert _found_by_frame(test) == []


@pytest.mark.parametrize(
    ("path", "said"), [("", "No frame was given"), ("/nowhere/a.mp4", "There is no file or folder")]
)
def test_a_frame_that_cannot_be_used_is_told(app: Callable[..., Any], path: str, said: str) -> None:
    test = app("knowledge").run()
    test.text_input(key="frame_path").set_value(path)
    test.button(key="search_frame").click().run()
    assert not test.exception
    assert said in _all_text(test)


def test_a_frame_that_is_uploaded(app: Callable[..., Any]) -> None:
    picture = io.BytesIO()
    Image.fromarray(np.full((64, 64, 3), 200, np.uint8)).save(picture, "PNG")
    test = app("knowledge").run()
    test.file_uploader(key="frame_upload").set_value(("x.png", picture.getvalue(), "image/png"))
    test.button(key="search_frame").click().run()
    assert not test.exception
    test = app("knowledge").run()
    test.file_uploader(key="frame_upload").set_value(("x.png", b"no picture", "image/png"))
    test.button(key="search_frame").click().run()
    latest = time.monotonic() + 60
    while "not an image that can be read" not in _all_text(test) and time.monotonic() < latest:
        time.sleep(0.3)
        test.run()
    assert "not an image that can be read" in _all_text(test)


def test_an_edit_is_by_the_person_who_is_logged_in_and_stays_in_the_history(
    app: Callable[..., Any], ward: Path
) -> None:
    test = app("knowledge")
    test.user = {"is_logged_in": True, "name": "Dr Grey", "email": ""}
    test.run()
    test.selectbox(key="knowledge_base").set_value("ward 3").run()
    first = _records(test, "all")[0]
    before = KnowledgeBase.open(ward).get(first)
    test.button(key=f"edit-all-{first}").click().run()
    field = test.text_input(key="edit_by")
    assert (field.value, field.disabled) == ("Dr Grey", True)
    test.text_input(key="edit_diagnosis").set_value("<b>lipoma</b>")
    test.text_input(key="edit_note").set_value("second look")
    field.proto.disabled = False  # as a changed browser could
    field.set_value("Dr Black")
    test.button(key="confirm_edit").click().run()
    assert not test.exception
    (edit,) = KnowledgeBase.open(ward).history(first)
    assert (edit.by, edit.note) == ("Dr Grey", "second look")
    assert edit.changes == [("diagnosis", before.diagnosis, "<b>lipoma</b>")]
    test.query_params["record"] = first  # it is now the last record of the list
    test.run()
    assert "History: 1 edit" in [one.label for one in test.expander]
    assert any("Dr Grey · second look" in caption.value for caption in test.caption)


def test_records_are_filtered_by_site_and_diagnosis(app: Callable[..., Any], own_home: Path) -> None:
    records = [
        InstructionRecord(id=f"r{n}", source=f"s{n}", question="q", description="Glands.", diagnosis=name, site=site)
        for n, (name, site) in enumerate([("adenoma", "colon"), ("", "colon"), ("adenoma", None)])
    ]  # fmt: skip
    KnowledgeBase.build(own_home / "knowledge" / "mixed", records)
    test = app("knowledge").run()
    test.selectbox(key="knowledge_base").set_value("mixed").run()
    shown = {}
    for site, diagnosis in ((None, None), ("colon", None), (None, "adenoma"), ("", None), ("colon", "")):
        test.selectbox(key="records_site").set_value(site)
        test.selectbox(key="records_diagnosis").set_value(diagnosis).run()
        shown[site, diagnosis] = _records(test, "all")
    assert shown == {
        (None, None): ["r0", "r1", "r2"],
        ("colon", None): ["r0", "r1"],
        (None, "adenoma"): ["r0", "r2"],
        ("", None): ["r2"],
        ("colon", ""): ["r1"],
    }


def test_pictures_are_found_in_the_folder_that_the_base_was_built_from(
    app: Callable[..., Any], pictures: KnowledgeBase
) -> None:
    from videopath.knowledge.storage.manifest import MANIFEST, read_manifest

    def drawn() -> int:
        test = app("knowledge", record="alike")
        test.session_state["knowledge_base"] = "pictures"
        test.run()
        assert not test.exception
        assert _records(test, "named") == ["alike"]
        return len(test.get("image"))

    assert drawn() == 1
    pictures.remove(["unlike"])
    pictures.add([pictures.get("alike").model_copy(update={"id": "words", "source": "words"})])
    manifest = read_manifest(pictures.folder)
    assert len(manifest.media_folders) == 1
    before = manifest.model_copy(update={"media_folders": ()})  # as earlier versions wrote it
    (pictures.folder / MANIFEST).write_text(before.to_text(), encoding="utf-8")
    assert "media_folders" not in before.to_text()
    assert drawn() == 0
