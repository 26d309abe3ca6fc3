"""The benchmark's three scores, 0 to 5, by a language model that reads question, reference and answer, never the video.

The protocol is that of Video-ChatGPT (Maaz et al., ACL 2024) as ViDRiP's benchmark uses it: one call each for correctness, detail
and context. There are two parsers. ``published`` reads a reply exactly as the benchmark's code does, with its faults: decimals are cut
off, an unreadable reply is 0, and one failed call makes all three scores 0. ``strict`` asks for JSON by a schema, repeats a call, and
counts failures instead of scoring them 0. The prompts are this project's own, so scores are comparable only with the same judge, prompts
and parser; all three are stored with the scores. Every judgement is written at once. A finished judgement is not asked for again; a
failed one is.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from videopath.core.choices import JudgeParser
from videopath.core.clock import now
from videopath.core.errors import EngineError, InputError
from videopath.core.files import sha256_text
from videopath.core.jsonl import JsonLines
from videopath.evaluation.stats.estimates import Estimate
from videopath.evaluation.testsets.answers import Answer
from videopath.evaluation.testsets.judge_replies import (
    ASPECTS,
    HIGHEST,
    Aspect,
    content_of,
    in_question,
    prompts,
    published_score,
    response_format,
    strict_score,
)

if TYPE_CHECKING:
    from openai import OpenAI

_log = logging.getLogger(__name__)

_SHOWN = 100  # characters of a reply that an error shows

NORM_AVERAGE = "norm_average"
KEY = "VIDEOPATH_JUDGE_KEY"
"""Environment variable with the judge's API key. Servers on this machine need none."""


class Judgement(BaseModel):
    """The scores of one answer, with judge and time; no scores if a call failed."""

    model_config = ConfigDict(frozen=True)

    id: str
    cluster: str
    """Patient, case, slide or video of the question."""
    judge: str
    parser: JudgeParser
    asked_sha256: str
    """SHA-256 over prompts, question, reference and answer: what was judged, and how."""
    date: str
    """ISO 8601, UTC."""
    scores: dict[Aspect, int | None]
    replies: dict[Aspect, list[str]]
    """The replies as received; the last one counts."""
    error: str = ""


class Judged(BaseModel):
    """All scores of a file of answers, with how they were made."""

    model_config = ConfigDict(frozen=True)

    judge: str
    parser: JudgeParser
    date: str
    """ISO 8601, UTC: time of the last judgement."""
    prompts_sha256: dict[Aspect, str]
    """Aspect → SHA-256 of the prompt without the answer."""
    answers: int
    failed: int
    """Answers without a complete score. They are left out of the means (with ``published`` they count as 0)."""
    failures: dict[str, int]
    """Reason → number of failures."""
    scores: dict[str, Estimate]
    """Aspect, ``average`` and ``norm_average`` (average / 5 × 100, unrounded) → mean with interval. Empty if all failed."""


@dataclass(frozen=True)
class Judge:
    """A model on an OpenAI-compatible server, from ``URL#model``."""

    url: str
    model: str
    parser: JudgeParser = "strict"
    tries: int = 3
    """Largest number of replies until one can be read (``strict``)."""
    timeout: float = 60.0
    """Time limit of one call in seconds."""
    retries: int = 2
    """How often a failed call (no reply, or a busy server) is repeated, each time after a longer wait."""
    parallel: int = 4
    """Number of answers that are judged at the same time."""

    @classmethod
    def at(cls, place: str, parser: JudgeParser = "strict", **settings: Any) -> Judge:
        """Return the judge at an address such as ``http://127.0.0.1:8000/v1#model``.

        Raises:
            InputError: The address has another form.
        """
        url, mark, model = place.partition("#")
        if not mark or not model or not url.startswith(("http://", "https://")):
            raise InputError(
                f"{place!r} is not a judge. Give the server's address and a model, such as http://127.0.0.1:8000/v1#name."
            )
        return cls(url, model, parser, **settings)

    @property
    def place(self) -> str:
        """The address as ``URL#model``."""
        return f"{self.url}#{self.model}"

    def check(self) -> None:
        """Raise ``EngineError`` if no server listens at the address. Checked before any question is asked."""
        address = urlsplit(self.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            socket.create_connection((address.hostname or "", port), timeout=self.timeout).close()
        except OSError as error:
            raise EngineError(
                f"The judge at {self.url} cannot be reached: {error}. Start it, or correct its address.",
                retryable=True,
            ) from error

    def judge(self, answers: Sequence[Answer], out: Path | None = None) -> Iterator[Judgement]:
        """Judge the answers. Judgements come as they are finished, several at a time.

        Args:
            answers: The answers.
            out: File of all judgements of all judges. Judgements that it holds are not asked for again. An answer with an error
                scores 0 without a call.

        Raises:
            EngineError: The server does not know the model, or rejects the key.
        """
        stored = _kept(out)
        known = {one.asked_sha256: one for one in stored if self._is_by_me(one) and not one.error}
        missing = []
        for answer in answers:
            judgement = known.get(self._asked_sha256(answer))
            if judgement is None:
                missing.append(answer)
            else:  # two questions may be equal word for word; they share a judgement
                yield judgement.model_copy(update={"id": answer.id, "cluster": answer.cluster})
        file = JsonLines(out) if out else None
        if file:
            file.replace(f"{one.model_dump_json()}\n".encode() for one in stored)
        yield from self._asked(missing, file)

    def _asked(self, answers: Sequence[Answer], file: JsonLines | None) -> Iterator[Judgement]:
        """Judge in order of completion. If the run ends early, running calls are stored and no new ones start."""
        if not answers:
            return

        def judged(answer: Answer) -> Judgement:
            judgement = self._one(client, answer)
            if file:
                file.append(judgement.model_dump_json())
            return judgement

        with self._client() as client, ThreadPoolExecutor(self.parallel) as pool:
            futures = [pool.submit(judged, answer) for answer in answers]
            try:
                for future in as_completed(futures):
                    yield future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    @property
    def prompts(self) -> dict[Aspect, str]:
        """Return aspect → prompt without the answer."""
        return prompts(self.parser)

    def summary(self, judgements: Sequence[Judgement]) -> Judged:
        """Return means with intervals over patients, cases, slides or videos; no scores if none could be read."""
        whole = _whole(judgements)
        clusters = [one.cluster for one in whole]
        return Judged(
            judge=self.place,
            parser=self.parser,
            date=max((one.date for one in judgements), default=now()),
            prompts_sha256={aspect: sha256_text(self.prompts[aspect]) for aspect in ASPECTS},
            answers=len(judgements),
            failed=sum(bool(one.error) for one in judgements),
            failures=Counter(one.error for one in judgements if one.error),
            scores={name: _estimate(values, clusters, name) for name, values in _columns(whole).items()}
            if whole
            else {},
        )

    def difference(self, judgements: Sequence[Judgement], less: Sequence[Judgement]) -> dict[str, Estimate]:
        """Return the mean differences of two systems' scores over the answers that were judged for both."""
        other = {one.id: one for one in _whole(less)}
        both = [one for one in _whole(judgements) if one.id in other]
        if not both:
            return {}
        clusters = [one.cluster for one in both]
        first, second = _columns(both), _columns([other[one.id] for one in both])
        return {
            name: _estimate(
                [a - b for a, b in zip(first[name], second[name], strict=True)], clusters, name, least=-1.0
            )
            for name in first
        }

    def _is_by_me(self, judgement: Judgement) -> bool:
        return (judgement.judge, judgement.parser) == (self.place, self.parser)

    def _asked_sha256(self, answer: Answer) -> str:
        parts = [*self.prompts.values(), answer.question, answer.reference, answer.text, answer.error]
        return sha256_text("\0".join(parts))

    def _client(self) -> OpenAI:
        """Create one client for all threads."""
        from openai import OpenAI

        return OpenAI(
            base_url=self.url,
            api_key=os.environ.get(KEY, "none"),
            timeout=self.timeout,
            max_retries=self.retries,
        )

    def _one(self, client: OpenAI, answer: Answer) -> Judgement:
        scores: dict[Aspect, int | None] = dict.fromkeys(ASPECTS)
        replies: dict[Aspect, list[str]] = {aspect: [] for aspect in ASPECTS}
        error = ""
        if answer.error:
            scores = dict.fromkeys(ASPECTS, 0)
        else:
            for aspect in ASPECTS:
                try:
                    scores[aspect] = self._score(client, aspect, answer, replies[aspect])
                except _Failed as failure:
                    _log.warning("The judge gave no score for the aspect %s.", aspect)
                    error = error or f"{aspect}: {failure}"
        if error and self.parser == "published":
            scores = dict.fromkeys(ASPECTS, 0)
        return Judgement(
            id=answer.id,
            cluster=answer.cluster,
            judge=self.place,
            parser=self.parser,
            asked_sha256=self._asked_sha256(answer),
            date=now(),
            scores=scores,
            replies=replies,
            error=error,
        )

    def _score(self, client: OpenAI, aspect: Aspect, answer: Answer, replies: list[str]) -> int:
        for _ in range(self.tries if self.parser == "strict" else 1):
            body = self._reply(client, aspect, answer)
            content = content_of(body)
            replies.append(body if content is None else content)
            if content is None:
                raise _Failed(f"the server's reply does not follow the protocol: {body[:_SHOWN]!r}")
            if self.parser == "published":
                return published_score(replies[-1])
            score = strict_score(replies[-1])
            if score is not None:
                return score
        raise _Failed(f"none of {self.tries} replies has a score from 0 to {HIGHEST}")

    def _reply(self, client: OpenAI, aspect: Aspect, answer: Answer) -> str:
        """Return the server's reply as received."""
        import openai

        try:
            reply = client.chat.completions.with_raw_response.create(
                model=self.model,
                temperature=0,
                messages=[
                    {"role": "system", "content": self.prompts[aspect]},
                    {"role": "user", "content": in_question(answer)},
                ],
                **response_format(self.parser),
            )
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise EngineError(
                f"The judge at {self.url} rejects the request: {error}. Check the model's name and {KEY}."
            ) from error
        except openai.OpenAIError as error:
            raise _Failed(f"{type(error).__name__}: {error}") from error
        return str(reply.text)


class _Failed(Exception):
    """A call without a score."""


def _whole(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Return the judgements with all three scores."""
    return [one for one in judgements if all(one.scores.get(aspect) is not None for aspect in ASPECTS)]


def _columns(whole: Sequence[Judgement]) -> dict[str, list[float]]:
    """Return aspect, average and norm-average → one value per judgement."""
    columns: dict[str, list[float]] = {
        aspect: [float(one.scores[aspect] or 0) for one in whole] for aspect in ASPECTS
    }
    average = [sum(values) / len(ASPECTS) for values in zip(*columns.values(), strict=True)]
    return {**columns, "average": average, NORM_AVERAGE: [value / HIGHEST * 100 for value in average]}


def _estimate(values: Sequence[float], clusters: Sequence[str], name: str, least: float = 0.0) -> Estimate:
    scale = 100 if name == NORM_AVERAGE else HIGHEST
    estimate = Estimate.of([value / scale for value in values], clusters, least)
    return Estimate(
        estimate.value * scale,
        estimate.low * scale,
        estimate.high * scale,
        estimate.questions,
        estimate.clusters,
    )


def _kept(path: Path | None) -> list[Judgement]:
    """Read a file of judgements.

    Raises:
        InputError: The file is not a file of judgements.
    """
    if path is None:
        return []
    try:
        return [Judgement.model_validate_json(line) for line in JsonLines(path).read() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is not a file of judgements. Choose another --out, or remove the file."
        ) from error
