"""Instruction pairs: written and rated by a served model, answered by nano, drafted for a person."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.model_server import ScriptedServer, Trouble, status

from videopath.core.errors import EngineError, InputError
from videopath.core.files import sha256_file
from videopath.dataset.instructions.drafting import draft_pairs
from videopath.dataset.instructions.drafts import (
    Finished,
    discard,
    finish,
    list_drafts,
    read_instructions,
)
from videopath.dataset.instructions.estimate import estimate, measured_seconds
from videopath.dataset.instructions.given_away import given_away, gives_diagnosis_away, named_diagnosis
from videopath.dataset.instructions.prompts import clip_facts
from videopath.dataset.instructions.questions import (
    DESCRIPTION_QUESTIONS,
    DIAGNOSIS_QUESTIONS,
    question_for,
    site_of,
)
from videopath.dataset.instructions.replies import read_replies
from videopath.dataset.instructions.words import ClipWords, history_of, timed_sentences, words_of_clip
from videopath.dataset.instructions.writing import write_instructions
from videopath.dataset.options import InstructionOptions
from videopath.dataset.records import (
    Clips,
    Cue,
    InstructionPair,
    Instructions,
    Recording,
    RefinedClip,
    Segment,
    Segments,
    Transcript,
)
from videopath.dataset.set_folder import SetFolder
from videopath.tools.answers.answerable_questions import asks_for_diagnosis

CARD = "Breast and colon: two unknowns\nCase 1: 57-year-old, breast mass"
CASE = {
    "seen": "Small cells lie in single files in a dense stroma. Glands are rare.",
    "features": [{"feature": "single files", "where": "in the stroma", "means": "cells that do not cohere"}],
    "differential": [{"diagnosis": "Invasive ductal carcinoma", "for": "stroma", "against": "no ducts"}],
    "diagnosis": "Invasive lobular carcinoma",
    "said": ["single files of small cells"],
    "given_away": [],
}
GOOD = {
    "description": {"quality": 4, "reason": "Exact."},
    "diagnosis": {"quality": 5, "reason": "It follows."},
}


@pytest.fixture
def recording() -> Recording:
    return Recording(
        id="a1b2c3d4e5f60718", path="lecture.mp4", sha256="a" * 64, seconds=60, width=640, height=480, fps=8
    )


@pytest.fixture
def folder(tmp_path: Path, small_case: Path, recording: Recording) -> SetFolder:
    """A set with two clips of two cases."""
    made = SetFolder(tmp_path / "set")
    made.clips.mkdir(parents=True)
    for number in (1, 2):
        shutil.copy(small_case, made.clips / f"{recording.id}-case-{number}.mp4")
    made.add(recording)
    made.write_result(recording, "clips", clips_of(recording, made), "x")
    return made


def clip_of(recording: Recording, case: int = 1, start: float = 3.0, **more: Any) -> RefinedClip:
    name = f"{recording.id}-case-{case}"
    facts: dict[str, Any] = {
        "id": name, "product": "case video", "file": f"clips/{name}.mp4", "sha256": "0" * 64, "start": start,
        "end": start + 12.5, "case": case, "title": CARD if case == 1 else "Case 2: 24-year-old, bloody diarrhoea",
        "fps": 2, "frames": 25, "width": 320, "height": 256, "crop": (0, 0, 1, 1), "crop_by": "colour and stain",
        "writing": "mask-all", "cursor": "leave",
    }  # fmt: skip
    return RefinedClip(**facts | more)


def clips_of(recording: Recording, folder: SetFolder) -> Clips:
    clips = (clip_of(recording), clip_of(recording, 2, 17.5))
    return Clips(
        clips=tuple(
            clip.model_copy(update={"sha256": sha256_file(folder.path / clip.file)}) for clip in clips
        )
    )


def segments() -> Segments:
    return Segments(
        segments=(
            Segment(start=0, end=3, kind="title card", title=CARD),
            Segment(start=3, end=15.5, kind="slide", case=1, title=CARD),
            Segment(start=15.5, end=17.5, kind="title card", title="Case 2: 24-year-old, bloody diarrhoea"),
            Segment(start=17.5, end=30, kind="slide", case=2, title="Case 2: 24-year-old, bloody diarrhoea"),
            Segment(start=30, end=32, kind="black"),
        )
    )


def spoken(*cues: tuple[float, float, str]) -> Transcript:
    return Transcript(
        origin="subtitle file", sentence="", cues=tuple(Cue(start=a, end=b, text=text) for a, b, text in cues)
    )


NEUTRAL = spoken((4, 7, "Look at the small cells in single files."))
TELLING = spoken(
    (4, 7, "Look at the small cells."), (8, 10, "This is lobular carcinoma, E-cadherin is lost.")
)


def says(*answers: dict[str, Any] | str) -> list[Trouble]:
    """Answers of the server, in order."""

    def answer(text: str) -> Trouble:
        def reply(handler: Any) -> None:
            handler.script.answer = text
            handler._stream({"messages": []})

        return reply

    return [answer(one if isinstance(one, str) else json.dumps(one)) for one in answers]


class Writer:
    """Runs the stage against the scripted server."""

    def __init__(self, server: ScriptedServer, folder: SetFolder, recording: Recording) -> None:
        from videopath.model import load_engine

        self.server, self.folder, self.recording = server, folder, recording
        self.engine = load_engine(server.name)
        self.before = len(server.chats)

    def __call__(
        self,
        *answers: dict[str, Any] | str | Trouble,
        transcript: Transcript = NEUTRAL,
        clips: int = 1,
        **options: Any,
    ) -> Instructions:
        for one in answers:
            self.server.troubles += [one] if callable(one) else says(one)
        own = clips_of(self.recording, self.folder).clips[:clips]
        asked = InstructionOptions(model="served", frames=4, **options)
        return write_instructions(
            self.recording, Clips(clips=own), transcript, segments(), asked, self.folder, self.engine
        )

    @property
    def asked(self) -> list[str]:
        """The questions so far."""
        return [chat.text for chat in self.server.chats[self.before :]]


@pytest.fixture
def write(serve: Callable[..., ScriptedServer], folder: SetFolder, recording: Recording) -> Writer:
    return Writer(serve(), folder, recording)


# A model that follows instructions


def test_a_description_and_a_diagnosis_are_written_and_rated(write: Writer) -> None:
    described, diagnosed = write(CASE, GOOD).pairs
    assert (described.about, diagnosed.about) == ("description", "diagnosis")
    assert described.answer.startswith("Small cells lie in single files")
    assert "carcinoma" not in described.answer
    assert diagnosed.answer == "Diagnosis: Invasive lobular carcinoma"
    assert "against it: no ducts" in diagnosed.reasoning
    assert (described.quality, diagnosed.quality, diagnosed.rounds) == (4, 5, 1)
    assert diagnosed.question.startswith("History: 57-year-old, breast mass. ")
    assert (described.blind, diagnosed.blind, diagnosed.given_away) == (True, True, ())
    assert {pair.origin for pair in (described, diagnosed)} == {"model"}
    assert diagnosed.model == "tiny-vl"


def test_the_model_is_shown_the_words_of_this_case_alone(write: Writer) -> None:
    words = spoken(
        (1, 2.5, "We start with a breast mass."),
        (5, 8, "Look at the small cells."),
        (9, 11, "In case 2 you will see Crohn disease."),
        (16, 17, "The next patient has granulomas."),
        (20, 23, "Granulomas in the mucosa."),
    )
    write(CASE, GOOD, CASE, GOOD, transcript=words, clips=2)
    first, _, second, _ = write.asked
    assert "We start with a breast mass." in first
    assert "Look at the small cells." in first
    assert "57-year-old" in first
    assert "site: breast" in first
    for other in ("Crohn", "ranulomas", "diarrhoea"):
        assert other not in first
    assert "Granulomas in the mucosa." in second
    assert "small cells" not in second
    assert "57" not in second


def test_what_the_narrator_gave_away_is_marked_whatever_the_model_says(write: Writer) -> None:
    described, diagnosed = write(CASE, GOOD, transcript=TELLING).pairs
    assert not diagnosed.blind
    assert any(mark.startswith("diagnosis, by the narrator") for mark in diagnosed.given_away)
    assert any("stain or test" in mark for mark in diagnosed.given_away)
    assert described.blind, "the description does not name it"
    named = CASE | {"seen": "Single files of an invasive lobular carcinoma."}
    again = write(named, GOOD, transcript=spoken((4, 6, "It is a lobular carcinoma, as you see.")))
    assert not again.pairs[0].blind


def test_what_the_model_marks_counts_as_well(write: Writer) -> None:
    told = CASE | {"given_away": ["hormone receptors are positive", "none"]}
    _, diagnosed = write(told, GOOD).pairs
    assert diagnosed.given_away == ("hormone receptors are positive",)
    assert not diagnosed.blind


def test_writing_that_is_left_in_the_frames_is_not_blind(write: Writer) -> None:
    write.server.troubles += says(CASE, GOOD)
    clip = clips_of(write.recording, write.folder).clips[0].model_copy(update={"writing": "mask-personal"})
    written = write_instructions(
        write.recording, Clips(clips=(clip,)), NEUTRAL, segments(), InstructionOptions(model="m"),
        write.folder, write.engine,
    )  # fmt: skip
    assert not any(pair.blind for pair in written.pairs)
    assert all("Burned-in writing" in pair.given_away[-1] for pair in written.pairs)


def test_a_wrong_answer_is_repaired_once(write: Writer) -> None:
    assert len(write("The glands are {", f"```json\n{json.dumps(CASE)}\n```", "?", GOOD).pairs) == 2
    assert "The glands are {" in write.asked[1]
    assert len(write.asked) == 4


@pytest.mark.parametrize(
    ("answers", "reason"),
    [(("no", "{}"), "answer was not the JSON"), ((CASE, "no", "no"), "rating was not the JSON")],
)
def test_what_is_wrong_twice_is_dropped_with_the_reason(
    write: Writer, answers: tuple[Any, ...], reason: str
) -> None:
    written = write(*answers)
    assert written.pairs == ()
    assert [entry.path.rpartition("-")[2] for entry in written.dropped] == ["description", "diagnosis"]
    assert reason in written.dropped[0].reason
    assert len(read_replies(write.folder.replies(write.recording))) == len(answers), "raw replies are kept"


POOR = {
    "description": {"quality": "4/5", "reason": ""},
    "diagnosis": {"quality": 1, "reason": "Name the grade."},
}


def test_a_poor_pair_is_written_once_more_with_the_critique(write: Writer) -> None:
    better = CASE | {"seen": "Other words.", "diagnosis": "Classic invasive lobular carcinoma"}
    described, diagnosed = write(CASE, POOR, better, GOOD).pairs
    assert "Name the grade." in write.asked[2]
    assert described.answer.startswith("Small cells"), "the good one stays"
    assert (described.rounds, diagnosed.rounds, diagnosed.quality) == (1, 2, 5)
    assert diagnosed.answer == "Diagnosis: Classic invasive lobular carcinoma"


def test_a_pair_that_is_poor_twice_is_dropped(write: Writer) -> None:
    written = write(CASE, POOR, CASE, POOR)
    assert [pair.about for pair in written.pairs] == ["description"]
    assert written.dropped[0].path.endswith("-diagnosis")
    assert "Quality 1 and 1 of 5" in written.dropped[0].reason
    assert "Name the grade." in written.dropped[0].reason


def test_without_a_diagnosis_only_the_description_is_kept(write: Writer) -> None:
    written = write(CASE | {"diagnosis": None}, {"description": {"quality": 3}})
    assert [pair.about for pair in written.pairs] == ["description"]
    assert written.dropped[0].reason == "The model gave no diagnosis."


def test_nothing_is_paid_twice_after_a_stop(write: Writer) -> None:
    with pytest.raises(EngineError):
        write(CASE, GOOD, CASE, status(401, "no more"), clips=2)
    replies = write.folder.replies(write.recording)
    assert len(read_replies(replies)) == 3
    with replies.open("ab") as stream:
        stream.write(b'{"key": "torn')
    before = len(write.asked)
    again = write(GOOD, clips=2)
    assert len(again.pairs) == 4
    assert len(write.asked) == before + 1, "only the answer that was missing"
    assert write(clips=2) == again
    assert len(write.asked) == before + 1
    assert measured_seconds(write.folder) is not None


def test_other_words_or_another_model_are_asked_anew(
    write: Writer, serve: Callable[..., ScriptedServer]
) -> None:
    write(CASE, GOOD)
    write(CASE, GOOD, transcript=TELLING)
    assert len(write.asked) == 4
    other = Writer(serve(), write.folder, write.recording)
    other(CASE, GOOD)
    assert len(other.asked) == 2


def test_a_clip_that_cannot_be_read_does_not_stop_the_others(write: Writer) -> None:
    (write.folder.clips / f"{write.recording.id}-case-2.mp4").unlink()
    first = Clips(clips=(clip_of(write.recording), clip_of(write.recording, 2, 17.5)))
    write.server.troubles += says(CASE, GOOD)
    written = write_instructions(
        write.recording, first, NEUTRAL, segments(), InstructionOptions(model="m"), write.folder, write.engine
    )
    assert len(written.pairs) == len(written.dropped) == 2
    assert "no file" in written.dropped[0].reason


# A model of VideoPath's own wording


@pytest.mark.slow
def test_nano_answers_its_own_questions_and_is_not_rated(
    folder: SetFolder, recording: Recording, nano_engine: Any
) -> None:
    clips = Clips(clips=clips_of(recording, folder).clips[:1])
    made = [
        write_instructions(
            recording, clips, NEUTRAL, segments(), InstructionOptions(model="nano", frames=2), folder, engine
        )
        for engine in (nano_engine, nano_engine)
    ]
    assert made[0] == made[1]
    written = made[0]
    assert len(written.pairs) + len(written.dropped) == 2
    for pair in written.pairs:
        assert (pair.quality, pair.origin, pair.blind) == (None, "model", True)
        assert pair.model == nano_engine.info.name
    assert [reply.purpose for reply in read_replies(folder.replies(recording))] == ["describe", "diagnose"]


# Words


def test_sentences_run_over_cues_and_keep_their_seconds() -> None:
    cues = spoken(
        (0, 2, "These are small"), (2, 4, "cells. They lie in files"), (10, 12, "and no glands")
    ).cues
    assert [(one.text, round(one.start, 1)) for one in timed_sentences(cues)] == [
        ("These are small cells.", 0), ("They lie in files", 2.6), ("and no glands", 10),
    ]  # fmt: skip


def test_a_long_talk_keeps_its_beginning_and_its_end() -> None:
    talk = tuple(Cue(start=n, end=n + 1, text=f"Sentence {n} has exactly six words.") for n in range(400))
    shown = [one["text"] for one in clip_facts([0.0], None, ClipWords(sentences=talk))["sentences"]]
    assert (shown[0], shown[-1]) == (talk[0].text, talk[-1].text)
    assert 250 < len(shown) == len(set(shown)) < 280
    few = clip_facts([0.0], None, ClipWords(sentences=talk[:7]))["sentences"]
    assert [one["text"] for one in few] == [one.text for one in talk[:7]]


def test_a_sentence_on_both_sides_of_a_cut_belongs_to_neither_case(recording: Recording) -> None:
    words = spoken((13, 18, "so that was the lobular carcinoma and now we have Crohn disease"))
    for case, start in ((1, 3.0), (2, 17.5)):
        assert words_of_clip(clip_of(recording, case, start), words, segments()).sentences == ()


@pytest.mark.parametrize(
    ("text", "shown", "unclear"),
    [
        ("Unlike the previous case this is Crohn disease.", "this is Crohn disease.", 0),
        ("Compared to our first case, the crypts are distorted.", "the crypts are distorted.", 0),
        ("As in the previous case of Crohn disease, granulomas.", "", 1),
        ("The second case shows granulomas.", "The second case shows granulomas.", 0),
        ("The next patient has Crohn disease.", "", 1),
    ],
)
def test_a_comparison_with_another_case_is_told_from_words_about_it(
    recording: Recording, text: str, shown: str, unclear: int
) -> None:
    clip = clip_of(recording, 2, 17.5)
    words = words_of_clip(clip, spoken((20, 23, text)), segments())
    assert (words.spoken, len(words.unclear)) == ([shown] if shown else [], unclear)
    marks = given_away("Crohn disease", words, "")
    assert any(mark.startswith("diagnosis") for mark in marks) == ("Crohn" in text)
    assert all("previous" not in pair.answer for pair in draft_pairs(clip, words))


def test_a_card_with_the_answer_belongs_to_the_case_before(recording: Recording) -> None:
    cut = Segments(
        segments=(
            Segment(start=0, end=3, kind="title card", title="Case 1"),
            Segment(start=3, end=15.5, kind="slide", case=1, title="Case 1"),
            Segment(start=15.5, end=16.5, kind="title card", title="Diagnosis: lobular carcinoma"),
            Segment(start=16.5, end=17.5, kind="title card", title="Case 2: 24-year-old"),
            Segment(
                start=17.5,
                end=30,
                kind="slide",
                case=2,
                title="Diagnosis: lobular carcinoma\nCase 2: 24-year-old",
            ),
        )
    )
    first = words_of_clip(clip_of(recording, title="Case 1"), NEUTRAL, cut)
    assert first.answer_cards == ("Diagnosis: lobular carcinoma",)
    second = words_of_clip(clip_of(recording, 2, 17.5, title=cut.segments[-1].title), NEUTRAL, cut)
    assert (second.title, second.answer_cards) == ("Case 2: 24-year-old", ())
    assert second.ambiguous == ("Diagnosis: lobular carcinoma",)


def test_a_lectures_title_may_be_about_other_cases(recording: Recording) -> None:
    clip = clip_of(recording, title="Fibroadenoma and lobular carcinoma / Case1:57-year-old, breast mass")
    words = words_of_clip(clip, NEUTRAL, segments())
    assert (words.title, words.ambiguous) == (
        "Case1:57-year-old, breast mass", ("Fibroadenoma and lobular carcinoma",),
    )  # fmt: skip
    assert site_of(words) == "breast"
    named = question_for("diagnosis", clip.id, words, "Invasive lobular carcinoma")
    assert named.startswith("History: 57-year-old, breast mass. ")
    marks = given_away("Invasive lobular carcinoma", words, named)
    assert marks == ('diagnosis, by the title card: "Fibroadenoma and lobular carcinoma"',)


@pytest.mark.parametrize(
    ("title", "history"),
    [
        ("Unknowns · Case 1: 57-year-old, breast mass", "57-year-old, breast mass"),
        ("Patient 3 - 24-year-old woman", "24-year-old woman"),
        ("Gastrointestinal pathology · A 31 year old man with melena", "A 31 year old man with melena"),
        ("Acute abdomen", ""),
    ],
)
def test_the_history_is_read_from_a_card(title: str, history: str) -> None:
    assert history_of(title) == history


GIVES_AWAY = [
    ("Invasive lobular carcinoma", "So this is a lobular carcinoma.", True),
    ("Invasive lobular carcinoma", "It is ILC.", True),
    ("Invasive lobular carcinoma", "Not a carcinoma at all?", True),
    ("Invasive lobular carcinoma", "Single files of small cells.", False),
    ("Crohn disease", "In Crohn's we see granulomas.", True),
    ("Crohn disease", "Granulomas in the mucosa of a patient with a disease.", False),
    ("Acute appendicitis", "Neutrophils in the wall, so: appendicitis.", True),
    ("Acute appendicitis", "Neutrophils in the wall of the appendix.", False),
    ("Mucinous cystadenocarcinoma", "I would call it a carcinoma.", True),
    ("Benign colon tissue", "This is normal colonic mucosa.", True),
    ("Fat necrosis", "There is fat necrosis here.", True),
    ("Leiomyomata", "a leiomyoma of the uterus", True),
    ("Pilomatricoma", "Ghost cells and basaloid cells.", False),
]


@pytest.mark.parametrize(("label", "text", "given"), GIVES_AWAY)
def test_a_diagnosis_in_words_is_found(label: str, text: str, given: bool) -> None:
    assert gives_diagnosis_away(label, text) == given


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("So this is a lobular carcinoma, as you see.", "lobular carcinoma"),
        ("I call it Crohn disease.", "Crohn disease"),
        ("Neutrophils: acute appendicitis", "acute appendicitis"),
        ("Small cells in files.", ""),
        ("There are no glands and hardly any mitoses.", ""),
        ("Lymphocytes and plasma cells around the vessels.", ""),
    ],
)
def test_a_diagnosis_in_words_is_suggested(text: str, named: str) -> None:
    assert named_diagnosis(text) == named


def test_questions_ask_for_what_they_are_about() -> None:
    assert all(asks_for_diagnosis(text.format(site=" colon")) for text in DIAGNOSIS_QUESTIONS)
    assert not any(asks_for_diagnosis(text.format(site=" colon")) for text in DESCRIPTION_QUESTIONS)
    words = ClipWords(title="Case 3: 40-year-old with breast carcinoma")
    assert "carcinoma" not in question_for("diagnosis", "c", words)
    asked = {question_for("description", str(number), ClipWords()) for number in range(60)}
    assert len(asked) == len(DESCRIPTION_QUESTIONS)


# Drafts


def _drafted(folder: SetFolder, recording: Recording, transcript: Transcript = TELLING) -> Instructions:
    written = write_instructions(
        recording, clips_of(recording, folder), transcript, segments(), InstructionOptions(), folder, None
    )
    folder.write_result(recording, "instructions", written, "x")
    return written


def test_sentences_become_drafts(folder: SetFolder, recording: Recording) -> None:
    described, diagnosed, *second = _drafted(folder, recording).pairs
    assert described.answer == "Look at the small cells."
    assert diagnosed.answer == "This is lobular carcinoma, E-cadherin is lost."
    assert {pair.origin for pair in (described, diagnosed, *second)} == {"draft"}
    assert [pair.answer for pair in second] == ["", ""]
    assert all(pair.question for pair in second)
    assert not any(pair.blind for pair in (described, diagnosed))


def test_a_person_finishes_drafts_and_a_rebuild_keeps_them(folder: SetFolder, recording: Recording) -> None:
    _drafted(folder, recording)
    assert [draft.clip.case for draft in list_drafts(folder)] == [1, 1, 2, 2]
    names = [draft.pair.id for draft in list_drafts(folder)]
    made = finish(
        folder,
        [
            Finished(names[0], "Small cells in single files."),
            Finished(names[1], "Invasive lobular carcinoma.", reasoning="Single files.", site="breast"),
        ],
        who="AB",
    )
    assert made[1].answer == "Diagnosis: Invasive lobular carcinoma"
    assert "breast tissue" in made[1].question
    discard(folder, [names[2]])
    assert [draft.pair.id for draft in list_drafts(folder)] == [names[3]]
    stored = folder.result(recording, "instructions", Instructions)
    assert stored is not None
    assert [pair.origin for pair in stored.pairs] == ["person", "person", "draft"]
    assert "AB" not in stored.model_dump_json()
    rebuilt = _drafted(folder, recording, NEUTRAL)
    assert rebuilt == stored == read_instructions(folder, recording)


def test_a_finished_pair_outlives_its_clip(folder: SetFolder, recording: Recording) -> None:
    _drafted(folder, recording)
    name = list_drafts(folder)[0].pair.id
    finish(folder, [Finished(name, "Small cells.")])
    other = Clips(clips=clips_of(recording, folder).clips[1:])
    written = write_instructions(recording, other, NEUTRAL, segments(), InstructionOptions(), folder, None)
    assert written.pairs[-1].id == name


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (Finished("nothing", "x"), "no draft"),
        (Finished("0", " . "), "no word"),
        (Finished("0", "See <image> here"), "chat template"),
        (Finished("0", "half \ud800"), "not valid text"),
        (Finished("0", "x", question="Describe this colon tissue.", site="lung"), "names colon"),
        (Finished("0", "x", site="nowhere"), "not known"),
        (Finished("0", "Small cells of DOE JOHN, MRN 4839201."), "person's data"),
    ],
)
def test_a_wrong_draft_writes_nothing(
    folder: SetFolder, recording: Recording, wrong: Finished, reason: str
) -> None:
    _drafted(folder, recording)
    first, second = (draft.pair.id for draft in list_drafts(folder)[:2])
    name = wrong.draft.replace("0", first)
    with pytest.raises(InputError, match=reason):
        finish(folder, [Finished(second, "Lobular carcinoma"), Finished(**(vars(wrong) | {"draft": name}))])
    assert len(list_drafts(folder)) == 4
    assert not folder.finished.exists()


def test_a_torn_line_loses_nothing_and_a_damaged_one_is_named(
    folder: SetFolder, recording: Recording
) -> None:
    _drafted(folder, recording)
    first, second = (draft.pair.id for draft in list_drafts(folder)[:2])
    finish(folder, [Finished(first, "Small cells.")])
    with folder.finished.open("ab") as stream:
        stream.write(b'{"at": "to')
    assert len(list_drafts(folder)) == 3
    finish(folder, [Finished(second, "Lobular carcinoma")])
    assert len(list_drafts(folder)) == 2
    with folder.finished.open("ab") as stream:
        stream.write(b"{}\n")
    with pytest.raises(InputError, match="Line 3 of"):
        list_drafts(folder)


def test_a_draft_of_a_clip_without_words_is_empty(recording: Recording) -> None:
    pairs: list[InstructionPair] = draft_pairs(clip_of(recording), ClipWords())
    assert [pair.answer for pair in pairs] == ["", ""]


# Estimate


def test_requests_and_cost_are_estimated() -> None:
    options = InstructionOptions(model="openai:http://x/v1#m", price=0.01)
    made = estimate(12, options, seconds_per_request=4)
    assert made.requests == 30
    assert made.cost == pytest.approx(made.tokens / 1000 * 0.01)
    for part in ("12 clips", "about 30 requests", f"{made.cost:,.2f}", "2 min"):
        assert part in made.sentence.replace("120 s", "2 min")
    assert estimate(3, InstructionOptions()).requests == 0
    assert estimate(3, InstructionOptions(model="nano")).requests == 6
