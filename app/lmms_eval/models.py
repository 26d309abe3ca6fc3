"""The model and the agent as models of lmms-eval. lmms-eval loads this module; it needs lmms-eval."""

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

from videopath.app.lmms_eval.decoding import Decoding, visual_file
from videopath.app.lmms_eval.questions import item_of
from videopath.core.errors import InputError
from videopath.evaluation.testsets.answers import asking
from videopath.media.clip import open_clip
from videopath.model.inference.engine import load_local_engine
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.template import text_ids

Unreadable = Literal["stop", "empty"]
"""What happens at an unreadable question: the run stops, or the answer is empty, is logged and scores 0."""


class _Answering(lmms):
    """Answers questions about one video or image each, one after the other."""

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
        """Yield the answers as they come, so that the harness's ``--use_cache`` keeps each one at once."""
        answers = self._answers(requests)
        return list(answers) if len(requests) == 1 else answers  # the harness indexes a single answer

    def generate_until_multi_round(self, requests: list[Instance]) -> list[str]:
        """Raise ``InputError``: a session answers each question by itself."""
        raise InputError(
            "VideoPath answers single questions, not dialogues: choose a task of type generate_until."
        )

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Raise ``InputError`` unless a subclass can score answers."""
        raise InputError(
            "The agent does not score given answers: choose a task of type generate_until, or --model videopath."
        )

    def clean(self) -> None:
        """Free the memory before the harness measures the answers."""
        del self._engine
        super().clean()

    @abstractmethod
    def _answer(
        self, question: str, settings: Mapping[str, Any], path: Path, doc: Mapping[str, Any]
    ) -> GenerationResult:
        """Answer one question about the file ``path``."""

    def _answers(self, requests: list[Instance]) -> Iterator[GenerationResult]:
        with self._progress(len(requests)) as bar:
            for request in requests:
                answer = self._answer_request(*request.args)
                bar.update()
                yield answer

    def _answer_request(
        self, question: str, settings: Mapping[str, Any], visuals_of: Any, doc_id: int, task: str, split: str
    ) -> GenerationResult:
        doc = self.task_dict[task][split][doc_id]
        try:
            with visual_file(visuals_of(doc), task) as path:
                return self._answer(question, settings, path, doc)
        except InputError as error:
            if self._unreadable == "stop":
                raise
            logger.error(f"{task}, question {doc_id}, has no answer: {error}")
            return GenerationResult("")

    def _progress(self, total: int) -> tqdm:
        return tqdm(total=total, disable=self.rank != 0, desc="VideoPath")


class VideoPath(_Answering):
    """A checkpoint, asked each question once; ``frames`` per clip (None: the checkpoint's own number)."""

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
        """Return the loss of each given answer, and whether greedy decoding would write it.

        The loss is the mean negative log-probability of the tokens. The interface asks for the log-probability, but
        the harness's own models return the loss, and its multiple-choice tasks choose the smallest number.
        """
        scores: list[tuple[float, bool]] = []
        with self._progress(len(requests)) as bar:
            for _, group in groupby(requests, key=_question_of):
                scores += self._score([request.args for request in group])
                bar.update(len(scores) - bar.n)
        return scores

    def _answer(
        self, question: str, settings: Mapping[str, Any], path: Path, doc: Mapping[str, Any]
    ) -> GenerationResult:
        decoding = Decoding.of(settings)
        with self._engine.open(open_clip(path, self._frames, writing="keep")) as session:
            answer = session.generate(
                question,
                max_new_tokens=decoding.max_new_tokens,
                temperature=decoding.temperature,
                top_p=decoding.top_p,
                seed=_next_seed() if decoding.temperature else None,
            )
            for note in session.notes:
                logger.warning(f"{path.name}: {note}")
        return GenerationResult(decoding.cut(answer.text), TokenCounts(output_tokens=len(answer.tokens)))

    def _score(self, choices: Sequence[tuple[Any, ...]]) -> list[tuple[float, bool]]:
        """Score the choices of one question, which are given as the arguments of their requests."""
        question, _, visuals_of, doc_id, task, split = choices[0]
        doc = self.task_dict[task][split][doc_id]
        texts = [text if isinstance(text, str) else text(doc) for _, text, *_ in choices]
        tokens = [text_ids(self._engine.network.tokenizer, text) for text in texts]
        with (
            visual_file(visuals_of(doc), task) as path,
            self._engine.open(open_clip(path, self._frames, writing="keep")) as session,
        ):
            scores = session.score(question, texts)
            written = session.generate(question, max_new_tokens=max(map(len, tokens))).tokens
        return [(-score, written[: len(ids)] == ids) for score, ids in zip(scores, tokens, strict=True)]


class VideoPathAgent(_Answering):
    """The whole agent: describe, diagnose, retrieve, verify; with ``blind`` it sees no similar cases.

    The agent ignores the task's decoding settings. It uses the site of a question, and no record of its group, if the
    task names them.
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
        """Close the agent and free the memory."""
        self._held.close()
        del self._ask
        super().clean()

    def _answer(
        self, question: str, settings: Mapping[str, Any], path: Path, doc: Mapping[str, Any]
    ) -> GenerationResult:
        return GenerationResult(self._ask(item_of(doc, path, question)).text)


def _question_of(request: Instance) -> tuple[Any, ...]:
    question, _, _, *document = request.args
    return question, *document


def _own_device(device: str | None) -> str | None:
    """The GPU of this process's number if several processes run (``torchrun``)."""
    rank = os.environ.get("LOCAL_RANK")
    return f"cuda:{rank}" if rank and device in (None, "cuda") and torch.cuda.is_available() else device


def _next_seed() -> int:
    """A seed for a sampled answer, from torch's generator, which the harness seeds with ``--seed``."""
    return int(torch.randint(2**31, ()))
