"""Source names: what counts as the same video, slide or patient; sites from questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.knowledge import same_source
from videopath.knowledge.records.sources import infer_site, source_path


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("case.mp4", "/data/videos/case.mp4"),
        ("videos/vidrip_d0WDjz9JBiU_c00003.mp4", "d0WDjz9JBiU"),
        ("d0WDjz9JBiU_c00001", "vidrip_d0WDjz9JBiU_c00003.mp4"),
        (r"C:\videos\Case.MOV", "case"),
        ("TCGA-LUSC/TCGA-21-1083-01Z-00-DX1.8288ca92.pt", "TCGA-21-1083-01Z-00-DX2.77aa.svs"),
        ("TCGA-21-1083-01Z-00-DX1.8288ca92-1", "TCGA-21-1083"),
        ("videopath-starter/colon-adenocarcinoma-1", "colon-adenocarcinoma-1"),
        ("videos/vidrip_d0WDjz9JBiU_c00003.mp4", "/tmp/uploads/d0WDjz9JBiU_c00001.mp4"),
        ("videos/copies/../case.mp4", "videos/case.mp4"),
        ("fa\u0308rbung 1.mp4", "/data/f\u00e4rbung 1.mp4"),
        ("caf\udce9-1-b.mp4", "/data/caf\udce9-1-b.mp4"),
    ],
)
def test_same_source(one: str, other: str) -> None:
    assert same_source(one, other)
    assert same_source(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("case1.mp4", "case11.mp4"),
        ("tiles/colon/001.png", "tiles/lung/001.png"),
        ("colon/case_1.mp4", "lung/case_1.mp4"),
        ("TCGA-21-1083-01Z", "TCGA-21-10834-01Z"),
        ("videopath-starter/colon-adenocarcinoma-1", "videopath-starter/colon-adenocarcinoma-2"),
        ("", "case.mp4"),
        ("", ""),
    ],
)
def test_other_source(one: str, other: str) -> None:
    assert not same_source(one, other)


@given(st.text(min_size=1), st.text())
def test_sameness_is_symmetric_and_holds_for_oneself(one: str, other: str) -> None:
    assert same_source(one, other) == same_source(other, one)
    assert same_source(one, one) == bool(source_path(one))


@pytest.mark.parametrize(
    ("question", "image", "site"),
    [
        ("What is the best diagnosis for this ovary/fallopian tube tissue?", "", "ovary"),
        ("Describe this cervix smear and give the diagnosis.", "", "cervix"),
        ("What is seen in the resected sigmoid specimen?", "", "colon"),
        ("What is the diagnosis?", "TCGA-KIRC/TCGA-A3.pt", "kidney"),
        ("Is this lung tissue or this liver tissue?", "", None),
        ("What is the best diagnosis for this tissue?", "TCGA-HNSC/x.pt", None),
    ],
)
def test_sites_are_inferred(question: str, image: str, site: str | None) -> None:
    assert infer_site(question, image) == site
