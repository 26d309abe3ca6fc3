"""A person's words are never shown as the agent's."""

from __future__ import annotations

from videopath.agent.cases.records import CaseReport, Decision


def test_an_edit_is_not_shown_as_the_answer_after_the_similar_cases() -> None:
    edit = Decision(
        action="edit", diagnosis="lymphoma", changes={"diagnosis": {"from": "benign", "to": "lymphoma"}}
    )
    report = CaseReport(
        case_id="a", status="signed", diagnosis="lymphoma", blind_diagnosis="benign", review=[edit]
    )
    assert "Blind: benign  \nFinal: benign" in report.to_markdown()
