"""The benchmark's three scores, 0 to 5, by a language model that reads question, reference and answer (never the video).

The protocol is that of Video-ChatGPT (Maaz et al., ACL 2024) as ViDRiP's benchmark uses it: a call each for correctness, detail and
context. Two parsers: ``published`` takes a reply as the benchmark's code does, bug for bug (a number behind the point is cut off,
whatever cannot be read is 0, and one failed call makes all three 0); ``strict`` asks for JSON by a schema, asks again, and counts what
failed instead of turning it into 0. The prompts are this project's own: scores are comparable only by the same judge, prompts and parser,
all of which are kept with them. Every judgement is written as it comes; what was judged by the same judge, parser and prompts is not
asked again, what failed is.
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
"""Environment variable with the judge's API key; servers on this machine need none."""


class Judgement(BaseModel):
    """One answer's scores, by whom and when; none for a call that failed."""

    model_config = ConfigDict(frozen=True)

    id: str
    cluster: str
    """Patient, case, slide or video of the question."""
    judge: str
    parser: JudgeParser
    asked_sha256: str
    """Of the prompts, the question, the reference and the answer: what was judged, and how."""
    date: str
    """ISO 8601, UTC."""
    scores: dict[Aspect, int | None]
    replies: dict[Aspect, list[str]]
    """As they came, the last one counts."""
    error: str = ""


class Judged(BaseModel):
    """All scores of a file of answers, and how they came about."""

    model_config = ConfigDict(frozen=True)

    judge: str
    parser: JudgeParser
    date: str
    """ISO 8601, UTC: of the last judgement."""
    prompts_sha256: dict[Aspect, str]
    """By aspect, of what is asked without the answer in question."""
    answers: int
    failed: int
    """Answers of which a score is missing; they count in no mean (``published``: as 0)."""
    failures: dict[str, int]
    """Why they failed → how many."""
    scores: dict[str, Estimate]
    """By aspect, ``average`` of the three, and ``norm_average``: average / 5 × 100, from unrounded values. Empty where all failed."""


@dataclass(frozen=True)
class Judge:
    """An OpenAI-compatible server and a model on it, from ``URL#model``."""

    url: str
    model: str
    parser: JudgeParser = "strict"
    tries: int = 3
    """Replies that are asked for at most until one can be read (``strict``)."""
    timeout: float = 60.0
    """Seconds of one call."""
    retries: int = 2
    """Times that a call is made again that failed (no reply, or a server that is busy), each after a longer wait."""
    parallel: int = 4
    """Answers that are judged at a time."""

    @classmethod
    def at(cls, place: str, parser: JudgeParser = "strict", **settings: Any) -> Judge:
        """A judge from ``http://127.0.0.1:8000/v1#model``. Raises ``InputError`` for another form."""
        url, mark, model = place.partition("#")
        if not mark or not model or not url.startswith(("http://", "https://")):
            raise InputError(
                f"{place!r} is no judge: give the server's address and a model, like http://127.0.0.1:8000/v1#name."
            )
        return cls(url, model, parser, **settings)

    @property
    def place(self) -> str:
        """``URL#model``, as it was named."""
        return f"{self.url}#{self.model}"

    def check(self) -> None:
        """Raises ``EngineError`` where nobody listens at the address: asked before anything is answered."""
        address = urlsplit(self.url)
        port = address.port or (443 if address.scheme == "https" else 80)
        try:
            socket.create_connection((address.hostname or "", port), timeout=self.timeout).close()
        except OSError as error:
            raise EngineError(
                f"The judge at {self.url} cannot be reached: {error}; start it, or correct its address.",
                retryable=True,
            ) from error

    def judge(self, answers: Sequence[Answer], out: Path | None = None) -> Iterator[Judgement]:
        """The judgement of each answer, as it is known: in the order in which they come, several asked at a time.

        ``out``: the file that keeps every judgement of every judge; those that it holds already are not asked for again. An
        answer with an error is 0 in all, and nobody is asked. Raises ``EngineError`` where the server does not know the model or
        refuses the key.
        """
        kept = _kept(out)
        known = {one.asked_sha256: one for one in kept if self._is_by_me(one) and not one.error}
        missing = []
        for answer in answers:
            found = known.get(self._asked_sha256(answer))
            if found is None:
                missing.append(answer)
            else:  # two questions may be equal word for word, and so are their judgements
                yield found.model_copy(update={"id": answer.id, "cluster": answer.cluster})
        file = JsonLines(out) if out else None
        if file:
            file.replace(f"{one.model_dump_json()}\n".encode() for one in kept)
        yield from self._asked(missing, file)

    def _asked(self, answers: Sequence[Answer], file: JsonLines | None) -> Iterator[Judgement]:
        """Those that come first come first; where the run ends early, those that are being asked are kept, and no more asked."""
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
        """What is asked, by aspect, without the answer in question."""
        return prompts(self.parser)

    def summary(self, judgements: Sequence[Judgement]) -> Judged:
        """Means with intervals over patients, cases, slides or videos; no scores where none could be read."""
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
        """Mean difference of two systems' scores by name, over the answers that were judged for both."""
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
        """One for all threads."""
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
                raise _Failed(f"what the server replied is not of the protocol: {body[:_SHOWN]!r}")
            if self.parser == "published":
                return published_score(replies[-1])
            found = strict_score(replies[-1])
            if found is not None:
                return found
        raise _Failed(f"none of {self.tries} replies holds a score from 0 to {HIGHEST}")

    def _reply(self, client: OpenAI, aspect: Aspect, answer: Answer) -> str:
        """What the server sent, as it came."""
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
                f"The judge at {self.url} refuses: {error}; check the model's name and {KEY}."
            ) from error
        except openai.OpenAIError as error:
            raise _Failed(f"{type(error).__name__}: {error}") from error
        return str(reply.text)


class _Failed(Exception):
    """A call that gave no score."""


def _whole(judgements: Sequence[Judgement]) -> list[Judgement]:
    """Those with all three scores."""
    return [one for one in judgements if all(one.scores.get(aspect) is not None for aspect in ASPECTS)]


def _columns(whole: Sequence[Judgement]) -> dict[str, list[float]]:
    """By aspect, average and norm-average, a value for each judgement."""
    columns: dict[str, list[float]] = {
        aspect: [float(one.scores[aspect] or 0) for one in whole] for aspect in ASPECTS
    }
    average = [sum(values) / len(ASPECTS) for values in zip(*columns.values(), strict=True)]
    return {**columns, "average": average, NORM_AVERAGE: [value / HIGHEST * 100 for value in average]}


def _estimate(values: Sequence[float], clusters: Sequence[str], name: str, least: float = 0.0) -> Estimate:
    scale = 100 if name == NORM_AVERAGE else HIGHEST
    found = Estimate.of([value / scale for value in values], clusters, least)
    return Estimate(
        found.value * scale, found.low * scale, found.high * scale, found.questions, found.clusters
    )


def _kept(path: Path | None) -> list[Judgement]:
    """What a file of judgements holds. Raises ``InputError`` where it is none."""
    if path is None:
        return []
    try:
        return [Judgement.model_validate_json(line) for line in JsonLines(path).read() if line.strip()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no file of judgements: choose another --out, or remove it.") from error
