"""Who uses the pages: a login binds the signature, a second reader is independent, and the case keeps who did what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath.agent import load_case_library
from videopath.agent.cases.team.audit import audit_events

_DR_GREY = {"is_logged_in": True, "name": "Dr Grey", "email": "grey@hospital.example"}
_LOGIN = "Dr Grey (grey@hospital.example)"


def _send(field: Any, text: str) -> None:
    """Send a text as a changed browser could, although the field is disabled."""
    field.proto.disabled = False
    field.set_value(text)


def test_nobody_signs_under_the_login_of_another(app: Callable[..., Any], home: Path) -> None:
    test = app("case", id="done")
    test.user = _DR_GREY
    test.run()
    field = test.text_input(key="reviewer")
    assert (field.value, field.disabled) == (_LOGIN, True)
    _send(field, "Dr Black")
    test.button(key="accept").click().run()
    assert "you cannot sign as Dr Black" in test.error[0].value.replace("\\", "")
    library = load_case_library(home)
    assert library.entry("done").status == "done"
    test.button(key="accept").click().run()
    test.user = {**_DR_GREY, "name": "Dr Black"}  # the login ends between the question and the answer
    test.button(key="confirm_decision").click().run()
    assert library.entry("done").status == "done"
    test.user = _DR_GREY
    test.run()
    test.button(key="accept").click().run()
    test.button(key="confirm_decision").click().run()
    assert not test.exception
    assert library.entry("done").signed_by == _LOGIN
    test.text_area(key="addendum_text").set_value("deeper levels")
    _send(test.text_input(key="addendum_name"), "Dr Black")
    test.button(key="add_addendum").click().run()
    assert library.get("done").addenda == []


def test_a_server_with_a_login_shows_no_case_before_it(home: Path) -> None:
    from streamlit.testing.v1 import AppTest

    from videopath.app.web import main

    test = AppTest.from_file(str(main.__file__), default_timeout=60)
    test.user = {"is_logged_in": False}
    test.run()
    assert not test.exception
    assert [title.value for title in test.title] == ["Log in"]
    assert not test.sidebar.text_input
    test.user = _DR_GREY
    test.run()
    assert "Logged in as Dr Grey" in test.sidebar.caption[0].value
    assert [title.value for title in test.title] == ["New case"]


def test_a_second_reader_sees_no_diagnosis_and_the_agreement_is_shown(
    app: Callable[..., Any], home: Path
) -> None:
    test = app("second_reading", id="signed")
    test.session_state["reviewer_name"] = "Dr Grey"
    test.run()
    assert not test.exception
    library = load_case_library(home)
    signed = library.get("signed")
    said = " ".join(str(getattr(element, "value", "")) for element in test.main)
    assert signed.diagnosis not in said
    test.text_input(key="reading_diagnosis").set_value(signed.diagnosis.upper())
    test.button(key="keep_reading").click().run()
    assert "Dr Grey signed case signed" in test.error[0].value.replace("\\", "")
    test.text_input(key="reading_name").set_value("Dr Black")
    test.button(key="keep_reading").click().run()
    (reading,) = library.get("signed").second_readings
    assert (reading.reader, reading.agrees) == ("Dr Black", True)
    assert library.get("signed").diagnosis == signed.diagnosis
    page = app("case", id="signed")
    page.session_state["case_tab"] = "Record"
    page.run()
    assert not page.exception
    words = " ".join(element.value for element in page.text)
    assert "1 of 1 agree" in words
    assert [event.what for event in audit_events(library, "signed")] == ["signed", "second reading"]
