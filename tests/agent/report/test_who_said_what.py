"""A person's words are never shown as the agent's."""

from __future__ import annotations

from io import BytesIO, StringIO
from types import SimpleNamespace

import pytest
from pypdf import PdfReader
from rich.console import Console

from videopath.agent.cases.records import Candidate, CaseReport, Decision, SecondOpinion, Voucher
from videopath.agent.report.phrases import abstention_in_words, second_opinion_in_words
from videopath.agent.report.statements import statements
from videopath.app.cli.summary import summary


def test_an_edit_is_not_shown_as_the_answer_after_the_similar_cases() -> None:
    edit = Decision(
        action="edit", diagnosis="lymphoma", changes={"diagnosis": {"from": "benign", "to": "lymphoma"}}
    )
    report = CaseReport(
        case_id="a", status="signed", diagnosis="lymphoma", blind_diagnosis="benign", review=[edit]
    )
    assert "Blind: benign  \nFinal: benign" in report.to_markdown()


def opinion(label: str, **more: object) -> SecondOpinion:
    differential = [Candidate(label=label, probability=0.9), Candidate(label="lymphoma", probability=0.1)]
    values = {
        "model": "other model", "weights": "7" * 64, "label": label, "gives_diagnosis": True,
        "differential": differential, "description": "Quiet crypts.", "rationale": "No atypia.",
    }  # fmt: skip
    return SecondOpinion(**(values | more))


def written(report: CaseReport) -> list[str]:
    """The report by each of its writers, on one line each."""
    console = Console(file=StringIO(), width=400)
    console.print(summary(report))
    pdf = " ".join(page.extract_text() for page in PdfReader(BytesIO(report.to_pdf())).pages)
    texts = (report.to_markdown(), pdf, console.file.getvalue(), report.to_json())  # type: ignore[attr-defined]
    return [" ".join(text.split()) for text in texts]


def test_every_writer_says_what_the_second_model_said(cases: SimpleNamespace) -> None:
    report = cases.report(second_opinion=opinion("benign colon tissue"))
    *for_people, json = written(report)
    assert '"label": "benign colon tissue"' in json
    for text in for_people:
        assert "The second opinion of other model is benign colon tissue." in text
        assert "It is another diagnosis than the agent's, which lowered the confidence." in text
        assert "a second model, blind: other model" in text
        assert "90.0%" in text
    assert [said.by for said in statements(report)] == ["model", "second model", "agent"]


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        (opinion("colon adenocarcinoma", agrees=True), "It agrees with the agent."),
        (
            opinion("no diagnosis", gives_diagnosis=False),
            "The second opinion of other model gives no diagnosis.",
        ),
        (
            SecondOpinion(model="other model", failure="It hung up."),
            "There is no second opinion of other model: It hung up.",
        ),
    ],
)
def test_every_kind_of_second_opinion_has_its_words(
    cases: SimpleNamespace, said: SecondOpinion, meaning: str
) -> None:
    report = cases.report(second_opinion=said)
    assert meaning in second_opinion_in_words(report)
    for text in written(report)[:3]:
        assert meaning in text


def test_an_abstention_on_a_vouched_diagnosis_names_the_second_model(cases: SimpleNamespace) -> None:
    said = opinion("benign colon tissue")
    report = cases.report(
        status="abstained", abstained=True, advice=[said.sentence], second_opinion=said,
        vouchers=[Voucher(by="model", probability=0.95)], provenance={"calibrated": True},
    )  # fmt: skip
    assert abstention_in_words(report) == "The agent abstained: a second model gives another diagnosis."
    nobody = report.model_copy(update={"vouchers": [Voucher(by="model", reasons=["No."])]})
    assert "neither its model" in abstention_in_words(nobody)
    assert report.to_markdown().split("## Who said")[0].count("second opinion of") == 1, "not told twice"


def test_every_writer_says_where_frames_were_sent(cases: SimpleNamespace) -> None:
    sent = "Frames of this case left this machine: they were sent to https://models.example/v1 (for qwen)."
    report = cases.report(sent_to={"qwen": "https://models.example/v1"})
    markdown, pdf, terminal, json = written(report)
    for text in (markdown.replace("\\", ""), terminal):
        assert sent in text
    assert sent.replace(" ", "") in pdf.replace(" ", "")
    assert "https://models.example/v1" in json
    assert all("left this machine" not in text for text in written(cases.report()))
