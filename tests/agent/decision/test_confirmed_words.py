"""What a case becomes as knowledge is a person's word; a model that does not know teaches nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from videopath.agent.cases.learning import add_to_knowledge, record_of
from videopath.agent.cases.library import CaseLibrary, load_case_library
from videopath.agent.decision.not_known import says_not_known
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
    add_to_knowledge(signed, tmp_path / "kb", confirmed=True, reviewer="Dr. B")
    (record,) = KnowledgeBase.open(tmp_path / "kb")
    assert (record.diagnosis, record.description) == ("tubular adenoma", "Crowded irregular glands.")
    assert record.provenance["description by"] == "the agent, confirmed by Dr. B"
    assert record.provenance["confirmed"] > record.provenance["decided"]


def test_a_confirmation_at_the_signature_is_kept(library: CaseLibrary) -> None:
    library.sign("case-1", "Dr. A", confirmed=True)
    record = record_of(library.get("case-1"), reviewer="Dr. B")
    assert record.description == "Crowded irregular glands."
    assert record.provenance["description by"] == "the agent, confirmed by Dr. A"


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
    later = record_of(library.sign("case-2", "Dr. A"), reviewer="Dr. B", **words)
    assert later.description == learned
    assert later.provenance["description by"] == "Dr. B"


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
        "Crowded irregular glands with necrosis.",
        "We cannot exclude invasion.",
        "The nuclei are not uniform.",
        "There is no mitosis.",
        "The origin is unknown.",
        "Not all cells are seen.",
        "It is hard to say whether the basement membrane is broken.",
        "Nothing suggests malignancy.",
        "The lesion is not encapsulated.",
        "New bone formation is present.",
        "No tumour is seen in the given tissue.",
        "The border is unclear.",
        "The glands do not match in size.",
        "No known metastasis.",
        "We do not find necrosis.",
        "The class of differentiation is not given.",
        "Not a single gland is normal.",
        "Mucin is not identified.",
        "No necrosis; the stroma is loose.",
        "The cells cannot be told from lymphocytes here.",
        "Immunohistochemistry was not made.",
        "Grade is not provided.",
        "No CIN I changes are seen.",
        "Without evidence of grade I dysplasia.",
        "No necrosis, but we see crowded glands.",
        "We do not see mitoses.",
        "Tumour of unknown primary origin is favoured.",
        "There is no evidence of stage I disease.",
        "The lesion does not match the pattern of the surrounding tissue.",
        "Glands of type I endometrial carcinoma without necrosis.",
        "Mitoses cannot be identified.",
        "Lymph node metastasis is not identified.",
        "No diagnostic abnormality is seen.",
        "Goblet cells are not recognised in this field.",
        "No collagen type I is stained.",
        "The nuclei do not match a lymphocyte.",
        "No lesion is identified.",
        "No tissue invasion is found.",
        "Normal mucosa, not otherwise specified.",
        "Not all glands match; the AI-assisted count gives 3 mitoses.",
        "Margins are unclear.",
        "Clear cell carcinoma of unknown grade.",
        "I see no necrosis.",
        "Metastasis is not identified in the sample.",
        "No class II or class I staining was found.",
        "No model of invasion.",
    ],
)
def test_what_is_seen_and_not_seen_may_be_learned(sentence: str) -> None:
    assert not says_not_known(sentence, UNKNOWN)


@pytest.mark.parametrize(
    "sentence",
    [
        "The model is not familiar with this kind of tissue.",
        "I have never seen such a tissue.",
        "I do not recognise this organ.",
        "This does not look like anything the network was trained for.",
        "The assistant can't provide a diagnosis.",
        "Sorry, I don't know what this is.",
        "The image quality does not allow a diagnosis.",
        "It cannot be determined what organ this is.",
        "No tissue of the trained classes is present.",
        "The specimen is not among the known classes.",
        "Unknown.",
        "Cannot tell.",
        "The tissue belongs to none of the classes that I learned.",
        "Not in my training data.",
        "The model abstains.",
        "The model has no answer.",
        "I can't help with that.",
        "I cannot help with medical images.",
        "The pattern fits none of the diagnoses known to the model.",
        "This is not a tissue I was trained on.",
        "I'm unable to interpret this video.",
        "The pattern does not match a tissue that the model was trained on.",
        "It is unclear which organ this is.",
        "I'm sorry, but I cannot say.",
        "As an AI, I cannot make a diagnosis.",
        "Inconclusive.",
        "The diagnosis is uncertain.",
        "This lies outside of what was learned.",
        "Out of distribution.",
        "This is nothing that I know.",
        "The tissue cannot be identified.",
        "Not a tissue that this model knows",
        "The picture cannot be assessed.",
        "Indeterminate.",
        "The diagnosis could not be determined.",
        "A diagnosis cannot be made.",
        "It is not possible to tell what this is.",
        "Undetermined.",
        "I am not able to identify the tissue.",
        "This tissue is new to the model.",
        "The tissue type is unclear.",
        "Unrecognised pattern.",
        "No diagnosis can be given.",
        "We don't know.",
        "I don't know.",
        "Cannot determine.",
        "Unable to say.",
        "Nothing here resembles the training data.",
        "This does not resemble any tissue seen in training.",
        "Unknown tissue type.",
        "The origin of the tissue is not known to the network.",
        "It is hard to say what this tissue is.",
        "Diagnosis: unknown",
        "Not recognised.",
        "Cannot be classified.",
        "The diagnosis remains unclear.",
        "No confident diagnosis is possible.",
        "The features are not specific enough for a diagnosis.",
        "Abstain.",
        "The system does not know this tissue.",
        "The classifier has not seen such tissue.",
        "This tissue is unlike anything in the training set.",
        "Tissue unknown.",
    ],
)
def test_what_a_writer_says_of_not_knowing_is_no_description(sentence: str) -> None:
    assert says_not_known(sentence)
