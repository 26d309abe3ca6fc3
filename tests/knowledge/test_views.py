"""Three views of similarity, their fusion, and what is left out so that no case is answered with itself."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videopath.core.errors import InputError, KnowledgeError
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media, Query, ViewWeights
from videopath.knowledge.audit import audit
from videopath.knowledge.search import fuse_rankings

QUESTION = "What is the best diagnosis for this tissue?"


def record(name: str, text: str, *paths: str, diagnosis: str = "x", **fields: str) -> InstructionRecord:
    media = tuple(Media(path=path) for path in paths)
    about = {"source": f"study/{name}.mp4", "description": text, "diagnosis": diagnosis, **fields}
    return InstructionRecord(id=name, question=QUESTION, media=media, **about)


RECORDS = [
    record("both", "keratin pearls and bridges", "red-1.png", patient="P1", group="G1", site="skin"),
    record("words", "keratin pearls in nests", patient="P2", group="G2", site="skin"),
    record("picture", "", "red-2.png", diagnosis="unlike anything", patient="p1", site="lung"),
    record("clips", "mucin lakes", "blue-3.png", "green-4.png", group="g2", site="colon"),
    record("far", "adipose lobules", "blue-5.png", diagnosis=""),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, words: ModuleType) -> KnowledgeBase:
    folder = tmp_path_factory.mktemp("views") / "kb"
    return KnowledgeBase.build(folder, RECORDS, words.WordEncoder(256), viewer=words.NamedViewer())


def ids(found: object) -> list[str]:
    return [hit.record.id for hit in found.hits]


def test_a_base_knows_its_views(base: KnowledgeBase, words: ModuleType, tmp_path: Path) -> None:
    info = base.info()
    assert info.views == ["text", "image", "lexical"]
    assert info.image_encoder == base.image_encoder
    assert info.image_encoder
    assert (info.image_encoder.name, info.image_encoder.dimension) == ("colours", 3)
    assert info.index == {"text": ["exact, 5 vectors"], "image": ["exact, 5 vectors"]}
    assert base.verify() == []
    without = KnowledgeBase.build(tmp_path / "kb", RECORDS, words.WordEncoder(256))
    assert without.info().views == ["text", "lexical"]
    assert without.image_encoder is None
    assert without.find(Query("keratin", image=words.NamedViewer().vector("red"))).views == [
        "text",
        "lexical",
    ]


def test_each_view_finds_its_own(base: KnowledgeBase, words: ModuleType) -> None:
    red, green = words.NamedViewer().vector("red"), words.NamedViewer().vector("green")
    by_picture = base.find(Query(image=red), 3)
    assert by_picture.views == ["image"]
    assert ids(by_picture)[:2] == ["both", "picture"]
    assert by_picture.hits[0].scores == {"image": pytest.approx(by_picture.hits[0].score)}
    assert ids(base.find(Query(image=green), 1)) == ["clips"]  # the better of its two clips counts
    assert base.find(Query(image=np.stack([green, red])), 9).hits[0].score > 0.99
    assert ids(base.find(Query("keratins"), 9, ViewWeights(0, 0, 1))) == ["both", "words"]  # stemmed
    assert ids(base.find(Query("unlike"), 2, ViewWeights(0, 0, 1))) == [
        "picture"
    ]  # the diagnosis has words, too
    assert base.find(Query("zygote"), 2, ViewWeights(0, 0, 1)).hits == []


def test_all_views_are_fused_and_each_hit_shows_its_ranks(base: KnowledgeBase, words: ModuleType) -> None:
    asked = Query("keratin pearls in nests", image=words.NamedViewer().vector("red"))
    found = base.find(asked, 5, ViewWeights(1, 1, 1))
    assert found.views == ["text", "image", "lexical"]
    first = found.hits[0]
    assert first.record.id == "both"  # second by words, first by its picture
    assert first.ranks == {"text": 2, "image": 1, "lexical": 2}
    assert first.fused == pytest.approx(1 / 62 + 1 / 61 + 1 / 62)
    assert first.score == pytest.approx((first.scores["text"] + first.scores["image"]) / 2)
    words_only = next(hit for hit in found.hits if hit.record.id == "words")
    assert words_only.ranks == {"text": 1, "lexical": 1}
    assert words_only.score == pytest.approx(words_only.scores["text"])
    assert base.find(asked, 1, ViewWeights(0.1, 5, 0.1)).hits[0].ranks["image"] == 1
    assert ids(base.find(asked, 1, ViewWeights(1, 0, 0))) == ["words"]


def test_questions_that_cannot_be_asked_are_refused(base: KnowledgeBase) -> None:
    with pytest.raises(InputError, match="4 numbers; those of colours have 3"):
        base.find(Query(image=np.ones(4, np.float32)))
    for weights in ((0, 0, 0), (-1, 1, 1), (float("nan"), 1, 1)):
        with pytest.raises(InputError, match="weights"):
            ViewWeights(*weights)
    with pytest.raises(InputError, match="empty"):
        Query(" ")
    with pytest.raises(InputError, match="at least 1"):
        base.find(Query("x"), 0)
    for nasty in ('"', "a AND NOT (b", "NEAR(", "col:umn *", "'; DROP TABLE records; --", "\0", "語 é ß"):
        base.find(Query(f"keratin {nasty}"), 3)


@given(
    st.dictionaries(
        st.sampled_from(["text", "image", "lexical"]),
        st.lists(st.integers(1, 30), unique=True, max_size=20).map(lambda rows: [(row, 0.5) for row in rows]),
    )
)
def test_fusion_is_the_sum_of_reciprocal_ranks(rankings) -> None:
    weights = ViewWeights(1, 2, 0.5)
    ranked = fuse_rankings(rankings, weights)
    expected: dict[int, float] = {}
    for view, ranking in rankings.items():
        for place, (row, _) in enumerate(ranking):
            expected[row] = expected.get(row, 0) + weights.of(view) / (61 + place)
    assert dict(ranked) == pytest.approx(expected)
    assert [value for _, value in ranked] == sorted(expected.values(), reverse=True)
    if len(rankings) == 1:
        (ranking,) = rankings.values()
        assert [row for row, _ in ranked] == [row for row, _ in ranking]


@pytest.mark.parametrize(
    ("name", "gone", "reasons"),
    [
        ("both.mp4", {"both"}, {"source"}),
        ("/data/study/words.mp4", {"words"}, {"source"}),
        ("p1", {"both", "picture"}, {"patient"}),
        ("G2", {"words", "clips"}, {"group"}),
        ("nobody", set(), set()),
    ],
)
def test_names_are_left_out(base: KnowledgeBase, name: str, gone: set[str], reasons: set[str]) -> None:
    found = base.find(Query("keratin pearls and mucin", exclude=(name,)), 9)
    assert {e.id for e in found.excluded} == gone
    assert {e.reason for e in found.excluded} == reasons
    assert gone.isdisjoint(ids(found))
    assert len(found.hits) == 5 - len(gone)


def test_the_same_file_and_nearly_the_same_frame_are_left_out(base: KnowledgeBase, words: ModuleType) -> None:
    viewer = words.NamedViewer()
    copy = viewer.look(Media(path="red-1.png"))
    asked = Query("keratin", image=copy.vectors, exclude=(copy.sha256,))
    assert [(e.id, e.reason) for e in base.find(asked, 9).excluded] == [("both", "file")]
    near = copy.fingerprints.copy()
    near[0, 0] ^= 1
    found = base.find(Query("keratin", fingerprints=near), 9)
    assert [(e.id, e.reason, e.detail) for e in found.excluded] == [
        ("both", "near-identical frame", "1 bits differ")
    ]
    assert "both" not in ids(found)
    assert base.find(Query("keratin", fingerprints=words.fingerprint(99)[None]), 9).excluded == []


def test_records_are_added_with_their_pictures(
    base: KnowledgeBase, words: ModuleType, tmp_path: Path
) -> None:
    kb = KnowledgeBase.build(tmp_path / "kb", RECORDS, words.WordEncoder(256), viewer=words.NamedViewer())
    kb.add([record("new", "", "green-9.png", diagnosis="new one")], viewer=words.NamedViewer())
    assert ids(kb.find(Query(image=words.NamedViewer().vector("green")), 2)) == ["new", "clips"]
    kb.add([record("plain", "glands", "green-9.png")])  # nobody looks at it
    assert "plain" not in ids(kb.find(Query(image=words.NamedViewer().vector("green")), 9))
    kb.update([record("new", "", "red-1.png")], viewer=words.NamedViewer())
    assert "new" in ids(kb.find(Query(image=words.NamedViewer().vector("red")), 3))
    assert kb.find(Query(image=words.NamedViewer().vector("green")), 9).hits[-1].record.id != "clips"
    kb.remove(["clips"])
    kb.merge()
    assert kb.verify() == []
    assert "clips" not in ids(kb.find(Query(image=words.NamedViewer().vector("green")), 9))
    with pytest.raises(KnowledgeError, match="encoded by colours, not by other"):
        kb.add([record("n", "x", "red-1.png")], viewer=words.NamedViewer("other"))
    with pytest.raises(KnowledgeError, match="'n' cannot be seen: broken.png cannot be opened"):
        kb.add([record("n", "x", "broken.png")], viewer=words.NamedViewer())


def test_a_clip_that_cannot_be_read_stops_or_is_left_out(tmp_path: Path, words: ModuleType) -> None:
    records = [*RECORDS, record("broken", "glands", "broken.png")]
    with pytest.raises(KnowledgeError, match="'broken' cannot be seen"):
        KnowledgeBase.build(tmp_path / "kb", records, words.WordEncoder(), viewer=words.NamedViewer())
    told: list[KnowledgeError] = []
    kb = KnowledgeBase.build(
        tmp_path / "kb", records, words.WordEncoder(), viewer=words.NamedViewer(), left_out=told.append
    )
    assert [str(error) for error in told] == [
        "The record 'broken' cannot be seen: broken.png cannot be opened."
    ]
    assert list(kb) == RECORDS
    assert kb.verify() == []
    with pytest.raises(KnowledgeError, match="No record is left"):
        KnowledgeBase.build(
            tmp_path / "none",
            records[-1:],
            words.WordEncoder(),
            viewer=words.NamedViewer(),
            left_out=told.append,
        )


def test_an_audit_compares_patients_groups_files_and_pictures(base: KnowledgeBase, words: ModuleType) -> None:
    near = record("same frame", "totally other words", "blue-5.png")
    tested = [record("t", "unseen", patient="P1", group="G2"), near]
    told = {(o.reason, o.test, o.base, o.records) for o in audit(tested, base, viewer=words.NamedViewer())}
    assert told == {
        ("patient", "t", "both", 2),
        ("group", "t", "words", 2),
        ("file", "same frame", "far", 1),
    }
    again = near.model_copy(
        update={"media": (Media(path="red-5.png"),)}
    )  # another file with that fingerprint
    (overlap,) = audit([again], base, viewer=words.NamedViewer())
    assert (overlap.reason, overlap.base) == ("near-identical frame", "far")
    assert audit([near], base) == []
