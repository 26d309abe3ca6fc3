"""A person's data in texts: what is found, what is left alone, and what is left of it."""

from __future__ import annotations

import json
import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videopath.core.privacy.personal import personal_reasons, reasons_in_name, screened_text
from videopath.core.privacy.pieces import ACCESSION, ADDRESS, BIRTH, EMAIL, NAME, PHONE, REASONS, RECORD

POSITIVES: list[tuple[str, list[str]]] = [
    ("MRN 4839201  DOB 11.04.1962", [RECORD, BIRTH]),
    ("MRN4839201DOB11.04.1962", [RECORD, BIRTH]),
    ("mrn 48392O1 dob ll.O4.1962", [RECORD, BIRTH]),
    ("m.r.n. 4839201", [RECORD]),
    ("MRN#4839201", [RECORD]),
    ("ＭＲＮ　４８３９２０１", [RECORD]),
    ("M\u200bRN 483\u00ad9201", [RECORD]),
    ("PatientID_4839201", [RECORD]),
    ("patient id: ab-123456", [RECORD]),
    ("Hospital number K123456", [RECORD]),
    ("NHS 943 476 5919", [RECORD]),
    ("Pat.-Nr.: 12345", [RECORD]),
    ("Fallnummer 0012345678", [RECORD]),
    ("N° dossier: 1234567", [RECORD]),
    ("nº historia clínica 123456", [RECORD]),
    ("codice fiscale RSSMRA62D11H501U", [RECORD]),
    ("RSSMRA62D11H501U", [RECORD]),
    ("Prontuário 1234567", [RECORD]),
    ("patientnr 1234567", [RECORD]),
    ("TC Kimlik No: 12345678901", [RECORD]),
    ("PESEL 62041112345", [RECORD]),
    ("患者ID 123456", [RECORD]),
    ("病历号：1234567", [RECORD]),
    ("123-45-6789", [RECORD]),
    ("4839201", [RECORD]),
    ("Case No. 123456", [RECORD]),
    ("DOB:19620411", [BIRTH]),
    ("D.O.B. Apr 11, 1962", [BIRTH]),
    ("DOB 11APR1962", [BIRTH]),
    ("born 4 April 1962", [BIRTH]),
    ("geb. 11.4.62", [BIRTH]),
    ("geboren am 11. April 1962", [BIRTH]),
    ("* 11.04.1962", [BIRTH]),
    ("né le 11 avril 1962", [BIRTH]),
    ("née le 11/04/62", [BIRTH]),
    ("fecha de nacimiento 11/04/1962", [BIRTH]),
    ("nata il 11-04-1962", [BIRTH]),
    ("nascido em 11/04/1962", [BIRTH]),
    ("geboortedatum 11-04-1962", [BIRTH]),
    ("doğum tarihi: 11.04.1962", [BIRTH]),
    ("ur. 11.04.1962", [BIRTH]),
    ("出生日期 1962年4月11日", [BIRTH]),
    ("生年月日 昭和37年4月11日", [BIRTH]),
    ("MRN 4839201 DOE JOHN", [RECORD, NAME]),
    ("DOE JOHN MRN 4839201", [RECORD, NAME]),
    ("mrn 4839201 doe john", [RECORD, NAME]),
    ("DOE JOHN 11.04.1962 M", [BIRTH, NAME]),
    ("DOE^JOHN", [NAME]),
    ("Müller^Hans^Peter", [NAME]),
    ("DOE, JOHN", [NAME]),
    ("Patient: John Doe", [NAME]),
    ("PATIENT DOE JOHN", [NAME]),
    ("Patient DOE, JOHN", [NAME]),
    ("Pt. John Smith", [NAME]),
    ("PatientNameJohnDoe", [NAME]),
    ("patient_name_doe_john", [NAME]),
    ("Name Müller, Hans", [NAME]),
    ("Nom: DUPONT Marie", [NAME]),
    ("Nombre: García López", [NAME]),
    ("Cognome: Rossi", [NAME]),
    ("Hasta Adı: Ayşe Yılmaz", [NAME]),
    ("Imię i nazwisko: Zofia Kowalska", [NAME]),
    ("姓名：王小明", [NAME]),
    ("氏名 山田 太郎", [NAME]),
    ("Dr. Smith", [NAME]),
    ("DR SMITH", [NAME]),
    ("Prof. Müller", [NAME]),
    ("Mrs Smith", [NAME]),
    ("Frau Weber", [NAME]),
    ("Ayşe Hanım", [NAME]),
    ("S23-12345", [ACCESSION]),
    ("SP-23-001234", [ACCESSION]),
    ("H2023/1234", [ACCESSION]),
    ("23-S-1234", [ACCESSION]),
    ("B12-1234", [ACCESSION]),
    ("E 12345/23", [ACCESSION]),
    ("s23-12345 HE", [ACCESSION]),
    ("Eingangsnummer 23/12345", [ACCESSION]),
    ("Biyopsi No: 2023/1234", [ACCESSION]),
    ("Tel. 0221 478 1234", [PHONE]),
    ("+49 221 478 1234", [PHONE]),
    ("(212) 555-0199", [PHONE]),
    ("john.doe@hospital.org", [EMAIL]),
    ("Musterstraße 12", [ADDRESS]),
    ("12 Main Street", [ADDRESS]),
]
NEGATIVES = [
    "TCGA-AA-3518-01Z-00-DX1", "TCGA-21-1083-01Z-00-DX1.8288ca92-b611-4acf-986e-0b8a3f620b94", "patient TCGA-AA-3518",
    "CK7", "CK20 positive", "p16", "HER2 3+", "CD20", "S100", "S-100 protein", "Ki-67 12-15%", "BRAF V600E", "HLA-DR expression",
    "x400", "400x", "40x objective", "200 µm", "0.25 µm/px", "1.5 mm", "10 HPF", "1,234,567 reads", "1234567 cells",
    "Case 2: 24-year-old, bloody diarrhoea", "Case 1: 57-year-old, breast mass", "a 62-year-old man", "Patient 12", "Patient history",
    "12.04.2023 grand rounds", "Lecture of 2023-05-04", "20240501", "2019-2020", "in 2015-2016", "1998", "Virchow, born 1821",
    "pT2 pN0 pMx", "pT3N1a", "FIGO IIIC", "C50.9", "ICD-O 8140/3", "M8500/3", "Gleason 3+4=7", "WHO grade 2", "PMID 12345678",
    "Diagnosis: acute appendicitis", "single files of small cells", "Thank you. Questions?", "Acute abdomen", "COLON, BIOPSY",
    "SKIN, LEFT FOREARM, PUNCH BIOPSY", "Breast and colon: two unknowns", "Paget disease of the nipple", "Hodgkin lymphoma",
    "Van Gieson", "Congo Red", "File name: lecture", "the name of this tumor", "patient presented with fever", "slide id 12345",
    "THE TUMOR SHOWS A SOLID GROWTH PATTERN WITHOUT GLANDULAR FORMATIONS", "0.5-1.0", "12:34:56", "1920x1080", "v1.2.3",
    "d41d8cd98f00b204e9800998ecf8427e", "IMG_4839", "frame 0001234", "NCT01234567", "CVE-2024-4317",
]  # fmt: skip


@pytest.mark.parametrize(("text", "reasons"), POSITIVES, ids=[text for text, _ in POSITIVES])
def test_a_persons_data_is_found_and_masked(text: str, reasons: list[str]) -> None:
    assert set(reasons) <= set(personal_reasons(text))
    screened = screened_text(text)
    assert screened.masked >= 1
    assert screened.reasons
    assert not re.search(r"\d{3}|[Dd][Oo][Ee]\b|JOHN|Smith|王|山", screened.text)


def test_what_is_no_persons_data_is_left_alone() -> None:
    found = {text: personal_reasons(text) for text in NEGATIVES}
    assert {text: reasons for text, reasons in found.items() if reasons} == {}
    assert all(screened_text(text) == (text, 0, []) for text in NEGATIVES)


def test_what_is_masked_is_named_and_the_rest_stays() -> None:
    assert screened_text("Crohn's disease, MRN 4839201, DOB 11.04.1962.").text == (
        "Crohn's disease, MRN [record number], DOB [birth date]."
    )
    assert (
        screened_text("Dr. Smith showed S23-12345 at x400").text
        == "Dr. [name] showed [accession number] at x400"
    )
    assert personal_reasons("x@y.org, MRN 4839201, Dr. Smith") == [RECORD, NAME, EMAIL]


def test_texts_of_pathology_hold_no_persons_data(shared) -> None:  # noqa: ANN001
    """At most 0.5% of the sentences of real reports may be taken for a person's data, in capitals as well."""
    records = json.loads((shared / "data/text/wsi_bench_conversations.json").read_text(encoding="utf-8"))
    atlas = json.loads((shared / "data/text/atlas_text_en.json").read_text(encoding="utf-8"))
    texts = [turn["value"] for record in records[::40] for turn in record["conversations"]]
    texts += [text for page in list(atlas.values())[::12] for text in page]
    sentences = [one.strip() for text in texts for one in re.split(r"(?<=[.?!])\s+|\n+", text) if one.strip()]
    assert len(sentences) > 400
    for form in (str, str.upper):
        found = [sentence for sentence in sentences if personal_reasons(form(sentence))]
        assert len(found) <= 0.005 * len(sentences), found[:5]


LABELS = st.sampled_from(
    ["MRN", "Patient ID", "Hospital No", "NHS", "PID", "Pat-Nr", "Patientennummer", "Numéro de dossier", "DNI", "Hasta No", "PESEL", "住院号"]
)  # fmt: skip
GAPS = st.sampled_from(["", " ", ": ", "_", "-", " # ", "="])
CASES = st.sampled_from([str, str.lower, str.upper])


@settings(max_examples=60, deadline=None)
@given(LABELS, GAPS, st.integers(10_000, 10**9), CASES, st.booleans())
def test_a_number_behind_its_word_is_never_left(label, gap, number, form, misread) -> None:  # noqa: ANN001
    digits = str(number)
    shown = digits[:-1].replace("0", "O") + digits[-1] if misread and digits.count("0") < 2 else digits
    text = f"{form(label)}{gap}{shown}"
    assert RECORD in personal_reasons(text)
    assert shown not in screened_text(text).text


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        ["DOB", "born", "geb.", "née le", "fecha de nacimiento", "data di nascita", "doğum tarihi"]
    ),
    GAPS,
    st.dates(min_value=date(1900, 1, 1), max_value=date(2026, 1, 1)),
    st.sampled_from(["%d.%m.%Y", "%Y-%m-%d", "%m/%d/%y", "%d %b %Y", "%d%m%Y", "%B %d, %Y", "%d-%b-%Y"]),
)
def test_a_birth_date_is_found_in_any_form(label, gap, day, form) -> None:  # noqa: ANN001
    assert BIRTH in personal_reasons(f"{label}{gap}{day.strftime(form)}")


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80))
def test_any_text_is_screened_without_an_error(text: str) -> None:
    screened = screened_text(text)
    assert (screened.masked == 0) == (screened.reasons == [])
    assert screened.masked or screened.text == text
    assert set(screened.reasons) <= set(REASONS)
    assert reasons_in_name(text[:40]) == reasons_in_name(text[:40])
