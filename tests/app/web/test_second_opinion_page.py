"""The page of a case says what a second model said and where frames went."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from videopath.agent.cases.library import load_case_library
from videopath.agent.cases.records import Candidate, SecondOpinion

App = Callable[..., Any]


def texts(page: Any) -> str:
    parts = [
        *page.text,
        *page.markdown,
        *page.caption,
        *page.warning,
        *page.error,
        *page.header,
    ]
    tables = [table.value.to_string() for table in page.table]
    return "\n".join([*(str(part.value) for part in parts), *tables]).replace("\\", "")


def test_the_second_opinion_is_on_the_page(app: App, home: Path) -> None:
    library = load_case_library(home)
    report = library.get("done")
    report.second_opinion = SecondOpinion(
        model="other <b>model</b>", weights="7" * 64, device="cuda", label="benign colon tissue", gives_diagnosis=True,
        differential=[Candidate(label="benign colon tissue", probability=0.9)], description="Quiet crypts.",
    )  # fmt: skip
    report.sent_to = {"qwen": "https://models.example/v1"}
    library.save(report)
    page = app("case", id="done").run()
    assert not page.exception
    shown = texts(page)
    assert "The second opinion of other <b>model</b> is benign colon tissue." in shown
    page.session_state["case_tab"] = "Record"
    assert "a second model, blind: other <b>model</b>" in texts(page.run()), "who said what"
    assert "Quiet crypts." in shown
    assert "they were sent to https" in shown
