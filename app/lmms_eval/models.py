"""The model and the agent as lmms-eval calls them. This module needs lmms-eval and is loaded by it."""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms
from loguru import logger
from tqdm import tqdm

from videopath.app.lmms_eval.questions import item_of
from videopath.app.lmms_eval.wanted import Decoding, shown_file
from videopath.core.errors import InputError
from videopath.evaluation.testsets.answers import asking
from videopath.media.clip import open_clip
from videopath.model.inference.engine import load_local_engine
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.template import text_ids

Unreadable = Literal["stop", "empty"]
"""What a question comes to that cannot be asked: the end of the run, or an empty answer that is logged and counts 0."""


class _Answering(lmms):
    """Questions about one video or image each, answered one after the other."""

    def __init__(
        self,
        spec: EngineSpec,
        unreadable: Unreadable,
        batch_size: int | str,
    ) -> None:
        super().__init__()
        if str(batch_size) != "1":
            raise InputError(
                f"VideoPath answers one question at a time: --batch_size must be 1, not {batch_size}."
            )
        if unreadable not in get_args(Unreadable):
            raise InputError(
                f"unreadable={unreadable!r} is not known; use one of: {', '.join(get_args(Unreadable))}."
            )
        self._unreadable = unreadable
        self._engine = load_local_engine(replace(spec, device=_own_device(spec.device)))
        self.device = self._engine.info.device  # where the harness gathers the results of several processes

    def generate_until(self, requests: list[Instance]) -> Iterable[GenerationResult]:
        """The answers as they come: the harness's ``--use_cache`` keeps each at once, not all of them at the end."""
        answers = self._answers(requests)
        return list(answers) if len(requests) == 1 else answers  # single ones are indexed

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Raises ``InputError``: a session answers each question by itself."""
        raise InputError(
            "VideoPath answers single questions, not dialogues: choose a task of type generate_until."
        )

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Raises ``InputError``, except where a subclass can."""
        raise InputError(
            "The agent does not score given answers: choose a task of type generate_until, or --model videopath."
        )

    def clean(self) -> None:
        """Give the memory back, before the harness measures the answers."""
        del self._engine
        super().clean()

    @abstractmethod
    def _answer(
        self, question: str, wanted: Mapping[str, Any], shown: Path, doc: Mapping[str, Any]
    ) -> GenerationResult:
        """The answer to one question about the file ``shown``."""

    def _answers(self, requests: list[Instance]) -> Iterator[GenerationResult]:
        with self._progress(len(requests)) as bar:
            for request in requests:
                answer = self._answered(*request.args)
                bar.update()
                yield answer

    def _answered(
        self, question: str, wanted: Mapping[str, Any], visuals_of: Any, doc_id: int, task: str, split: str
    ) -> GenerationResult:
        doc = self.task_dict[task][split][doc_id]
        try:
            with shown_file(visuals_of(doc), task) as shown:
                return self._answer(question, wanted, shown, doc)
        except InputError as error:
            if self._unreadable == "stop":
                raise
            logger.error(f"{task}, question {doc_id}, has no answer: {error}")
            return GenerationResult("")

    def _progress(self, total: int) -> tqdm:
        return tqdm(total=total, disable=self.rank != 0, desc="VideoPath")


class VideoPath(_Answering):
    """A checkpoint, asked each question once. ``frames``: per clip; none: the checkpoint's own number."""

    def __init__(
        self,
        pretrained: str = "nano",
        base: str | None = None,
        frames: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        accept_licence: bool = False,
        unreadable: Unreadable = "stop",
        batch_size: int | str = 1,
        max_batch_size: object = None,  # given by the harness
    ) -> None:
        spec = EngineSpec(pretrained, base, device, dtype, accept_licence)
        super().__init__(spec, unreadable, batch_size)
        self._frames = frames or self._engine.info.frames

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Per given answer, its tokens' mean negative log-probability, and whether it is what greedy decoding writes.

        The loss and not the log-probability that the interface speaks of: the harness's own models return the loss, and its
        tasks of type multiple_choice take the smallest number for the choice.
        """
        found: list[tuple[float, bool]] = []
        with self._progress(len(requests)) as bar:
            for _, group in groupby(requests, key=_question_of):
                found += self._scored([request.args for request in group])
                bar.update(len(found) - bar.n)
        return found

    def _answer(
        self, question: str, wanted: Mapping[str, Any], shown: Path, doc: Mapping[str, Any]
    ) -> GenerationResult:
        how = Decoding.of(wanted)
        with self._engine.open(open_clip(shown, self._frames)) as session:
            answer = session.generate(
                question,
                max_new_tokens=how.max_new_tokens,
                temperature=how.temperature,
                top_p=how.top_p,
                seed=_next_seed() if how.temperature else None,
            )
            for note in session.notes:
                logger.warning(f"{shown.name}: {note}")
        return GenerationResult(how.cut(answer.text), TokenCounts(output_tokens=len(answer.tokens)))

    def _scored(self, choices: Sequence[tuple[Any, ...]]) -> list[tuple[float, bool]]:
        """The choices of one question, by their requests' arguments."""
        question, _, visuals_of, doc_id, task, split = choices[0]
        doc = self.task_dict[task][split][doc_id]
        texts = [given if isinstance(given, str) else given(doc) for _, given, *_ in choices]
        tokens = [text_ids(self._engine.network.tokenizer, text) for text in texts]
        with (
            shown_file(visuals_of(doc), task) as shown,
            self._engine.open(open_clip(shown, self._frames)) as session,
        ):
            scores = session.score(question, texts)
            written = session.generate(question, max_new_tokens=max(map(len, tokens))).tokens
        return [(-score, written[: len(ids)] == ids) for score, ids in zip(scores, tokens, strict=True)]


class VideoPathAgent(_Answering):
    """The whole agent: describe, diagnose, retrieve, verify; ``blind``: without similar cases.

    It decides itself how each of its answers is decoded. Site and group are the question's own, where the task names them: no record
    of the group is used.
    """

    def __init__(
        self,
        pretrained: str = "nano",
        base: str | None = None,
        knowledge: str | None = None,
        blind: bool = False,
        frames: int | None = None,
        device: str | None = None,
        dtype: str | None = None,
        accept_licence: bool = False,
        unreadable: Unreadable = "stop",
        batch_size: int | str = 1,
        max_batch_size: object = None,  # given by the harness
    ) -> None:
        spec = EngineSpec(pretrained, base, device, dtype, accept_licence)
        super().__init__(spec, unreadable, batch_size)
        self._held = ExitStack()
        home = Path(self._held.enter_context(tempfile.TemporaryDirectory()))
        self._ask = self._held.enter_context(
            asking("blind" if blind else "agent", self._engine, knowledge, home, frames=frames)
        )

    def clean(self) -> None:
        """Close the agent and give the memory back."""
        self._held.close()
        del self._ask
        super().clean()

    def _answer(
        self, question: str, wanted: Mapping[str, Any], shown: Path, doc: Mapping[str, Any]
    ) -> GenerationResult:
        return GenerationResult(self._ask(item_of(doc, shown, question)).text)


def _question_of(request: Instance) -> tuple[Any, ...]:
    question, _, _, *place = request.args
    return question, *place


def _own_device(device: str | None) -> str | None:
    """Of several processes (``torchrun``) each takes the GPU of its own number."""
    rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{rank}" if rank and device in (None, "cuda") and torch.cuda.is_available() else device


def _next_seed() -> int:
    """Of a sampled answer: from torch's generator, which the harness seeds by ``--seed``."""
    return int(torch.randint(2**31, ()))
