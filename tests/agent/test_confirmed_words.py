"""What a case becomes as knowledge is a person's word; a model that does not know teaches nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent.learning import add_to_knowledge, record_of
from videopath.agent.library import CaseLibrary, load_case_library
from videopath.agent.not_known import says_not_known
from videopath.core.errors import CaseError
from videopath.knowledge import KnowledgeBase

UNKNOWN = "not a tissue that this model knows"


@pytest.fixture
def library(own_home: Path, cases: SimpleNamespace) -> CaseLibrary:
    made = load_case_library()
    made.save(cases.report("case-1", description="Crowded irregular glands."))
    return made


def test_the_agents_description_is_learned_only_when_a_person_confirmed_it(
    library: CaseLibrary, tmp_path: Path
) -> None:
    signed = library.sign("case-1", "Dr. A", diagnosis="tubular adenoma")
    with pytest.raises(CaseError, match="nobody has confirmed it: “Crowded irregular glands"):
        add_to_knowledge(signed, tmp_path / "kb")
    assert not (tmp_path / "kb").exists()
    add_to_knowledge(signed, tmp_path / "kb", confirmed=True)
    (record,) = KnowledgeBase.open(tmp_path / "kb")
    assert (record.diagnosis, record.description) == ("tubular adenoma", "Crowded irregular glands.")
    assert record.provenance["description by"] == "the agent, confirmed by Dr. A"


def test_a_confirmation_at_the_signature_is_kept(library: CaseLibrary) -> None:
    library.sign("case-1", "Dr. A", confirmed=True)
    assert record_of(library.get("case-1")).description == "Crowded irregular glands."


@pytest.mark.parametrize(
    ("words", "learned"),
    [
        ({"description": "Tubules in rows."}, "Tubules in rows."),
        ({"findings": ["Tubules in rows.", " No atypia. "]}, "Tubules in rows. No atypia."),
    ],
)
def test_words_of_a_person_need_no_confirmation(
    library: CaseLibrary, cases: SimpleNamespace, words: dict[str, object], learned: str
) -> None:
    library.save(cases.report("case-2"))
    assert record_of(library.sign("case-1", "Dr. A", **words)).description == learned
    later = record_of(library.sign("case-2", "Dr. A"), **words)
    assert later.description == learned
    assert later.provenance["description by"] == "a person, when it was learned"


@pytest.mark.parametrize(
    "sentence",
    [
        "The pattern does not match a tissue that the model was trained on.",
        "This is not a tissue that this model knows.",
        "I cannot determine the diagnosis from this video.",
        "As an AI, I am unable to identify this tissue.",
        "The tissue could not be identified.",
        "The network has never seen such tissue.",
        "No diagnosis can be made.",
        "It does not match any known tissue.",
    ],
)
def test_that_a_model_does_not_know_never_becomes_knowledge(cases: SimpleNamespace, sentence: str) -> None:
    report = cases.report(
        status="signed", diagnosis="tubular adenoma", description=f"Crowded glands. {sentence}"
    )
    for said in ({"confirmed": True}, {"description": sentence}, {"findings": ["Glands.", sentence]}):
        with pytest.raises(CaseError, match="does not know the tissue"):
            record_of(report, **said)
    assert record_of(report, description="Crowded glands.").description == "Crowded glands."


def test_the_models_own_words_for_it_count_whatever_they_are(cases: SimpleNamespace) -> None:
    report = cases.report(status="signed", description="Keine bekannte Art.")
    report.provenance["unknown_label"] = "keine bekannte Art"
    with pytest.raises(CaseError, match="does not know"):
        record_of(report, confirmed=True)


@pytest.mark.parametrize("label", ["", "no diagnosis", UNKNOWN])
def test_a_case_signed_without_a_diagnosis_by_an_earlier_version_is_not_learned(
    cases: SimpleNamespace, label: str
) -> None:
    with pytest.raises(CaseError, match="has no diagnosis"):
        record_of(cases.report(status="signed", diagnosis=label), confirmed=True)


@pytest.mark.parametrize(
    "sentence",
    [
        "No necrosis is seen.",
        "carcinoma of unknown primary",
        "adenocarcinoma, not otherwise specified",
        "The tumour does not invade the muscularis.",
        "No lymphovascular invasion is identified.",
        "Type I pneumocytes are not seen.",
        "No residual lesion is seen.",
        "The margin cannot be assessed here.",
    ],
)
def test_what_is_seen_and_not_seen_may_be_learned(sentence: str) -> None:
    assert not says_not_known(sentence, UNKNOWN)
