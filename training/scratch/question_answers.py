"""Questions about one clip, with their answers: what nano is asked in training and what it learns to answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from videopath.media.quality import attributes
from videopath.media.quality.attributes import Attributes
from videopath.model.prompts import questions
from videopath.model.prompts.questions import SimilarCaseText
from videopath.training.data import corpus
from videopath.training.scratch import descriptions
from videopath.training.scratch.question_wordings import diagnosis_question

ImageSearches = Mapping[str, Sequence[Sequence[str]]]
"""Diagnosis → results of searches with its tiles: for each search, the diagnoses of the nearest groups."""
DescriptionShares = tuple[float, float, float]
"""Shares of the descriptions that stand before a diagnosis: correct, without facts, of another entity."""


@dataclass(frozen=True)
class QuestionAnswer:
    """One question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class QuestionWriter:
    """Writes questions and answers about one clip."""

    cases: Sequence[SimilarCaseText]
    """Similar cases that a question may quote."""
    stated_site: str | None
    """The site that the questions name; None: they name none."""
    site: str
    diagnosis: str
    measured: Attributes
    shares: DescriptionShares
    rng: np.random.Generator
    searches: ImageSearches = field(default_factory=dict)

    def write(self, count: int) -> tuple[QuestionAnswer, ...]:
        """Return ``count`` kinds of question; the last one has similar cases."""
        kinds = [self._describe, self._one_prompt, self._from_description, self._question_alone]
        order = self.rng.permutation(len(kinds))[: count - 1]
        return (*(kinds[i]() for i in order), self._with_cases())

    def _user_question(self) -> str | None:
        """A question in everyday words, or None for the default question; half of the time each."""
        return None if self.rng.random() < 0.5 else diagnosis_question(self.stated_site, self.rng)

    def _description(self) -> str:
        return descriptions.describe(self.diagnosis, self.measured, self.rng)

    def _describe(self) -> QuestionAnswer:
        return QuestionAnswer(questions.describe_question(self.stated_site), self._description())

    def _one_prompt(self) -> QuestionAnswer:
        answer = questions.one_prompt_answer(self._description(), self.diagnosis)
        return QuestionAnswer(questions.one_prompt_question(self.stated_site, self._user_question()), answer)

    def _question_alone(self) -> QuestionAnswer:
        """A question without the agent's forms, as a person asks who does not know them."""
        answer = questions.one_prompt_answer(self._description(), self.diagnosis)
        return QuestionAnswer(diagnosis_question(self.stated_site, self.rng), answer)

    def _from_description(self) -> QuestionAnswer:
        return self._diagnose(self._described_diagnosis(), ())

    def _with_cases(self) -> QuestionAnswer:
        """A question with similar cases, as the agent finds them.

        The cases follow the description, even if it describes another entity; or they follow a search by image, which is
        right as often as it was measured to be.
        """
        described = self._described_diagnosis()
        if described and self.rng.random() < 0.4:
            diagnoses = [described] * int(self.rng.integers(1, 6))
        elif self.diagnosis in self.searches:
            diagnoses = self._searched_diagnoses(int(self.rng.integers(1, 6)))
        else:
            diagnoses = [self.diagnosis if fits else self._other_diagnosis() for fits in self._fitting()]
        return self._diagnose(described, [self._case(diagnosis) for diagnosis in diagnoses])

    def _diagnose(self, described: str | None, neighbours: Sequence[SimilarCaseText]) -> QuestionAnswer:
        description = (
            descriptions.describe(described, self.measured, self.rng)
            if described
            else descriptions.describe_attributes(self.measured, self.rng)
        )
        question = questions.diagnose_question(
            self.stated_site, description, neighbours, self._user_question()
        )
        rationale = descriptions.rationale(self.diagnosis, self.rng)
        return QuestionAnswer(question, questions.diagnosis_answer(self.diagnosis, rationale))

    def _described_diagnosis(self) -> str | None:
        """The diagnosis that the description fits: the true one, None (no facts), or another one.

        In use, the description is the model's own and may be wrong.
        """
        correct, without_facts, _ = self.shares
        draw = self.rng.random()
        if draw < correct:
            return self.diagnosis
        return None if draw < correct + without_facts else self._other_diagnosis()

    def _searched_diagnoses(self, count: int) -> list[str]:
        """Draw ``count`` diagnoses from the result of one real search by image."""
        searches = self.searches[self.diagnosis]
        result = searches[int(self.rng.integers(len(searches)))]
        return [result[int(self.rng.integers(len(result)))] for _ in range(count)]

    def _fitting(self) -> list[bool]:
        """Draw one to five neighbours, and whether each has the true diagnosis: all, about half, or no neighbour."""
        count = int(self.rng.integers(1, 6))
        share = float(self.rng.choice([1.0, 0.5, 0.0], p=[0.35, 0.35, 0.30]))
        return [bool(self.rng.random() < share) for _ in range(count)]

    def _case(self, diagnosis: str) -> SimilarCaseText:
        """A case of the diagnosis, in a knowledge base's words or in nano's.

        If ``diagnosis`` is not the true one, one case in five may have any other wrong diagnosis of the knowledge base.
        """
        if diagnosis != self.diagnosis and self.rng.random() < 0.2:
            pool = [case for case in self.cases if case.diagnosis != self.diagnosis]
        else:
            pool = [case for case in self.cases if case.diagnosis == diagnosis]
        if pool and self.rng.random() < 0.6:
            return pool[int(self.rng.integers(len(pool)))]
        return SimilarCaseText(
            diagnosis, descriptions.describe(diagnosis, self._other_attributes(), self.rng)
        )

    def _other_diagnosis(self) -> str:
        """Draw another diagnosis: four times in five one of the same site."""
        table = corpus.diagnoses_by_site()
        rivals = [d for d in table.get(self.site, ()) if d != self.diagnosis]
        if rivals and self.rng.random() < 0.8:
            return rivals[int(self.rng.integers(len(rivals)))]
        others = [d for diagnoses in table.values() for d in diagnoses if d != self.diagnosis]
        return others[int(self.rng.integers(len(others)))]

    def _other_attributes(self) -> Attributes:
        values = self.measured.as_array() * self.rng.uniform(0.5, 1.6, len(attributes.NAMES))
        return Attributes(*(float(v) for v in values))
