"""Prompt sets: the templates of a wording, as files that a user can read and replace.

The files lie in ``wordings/WORDING/NAME.jinja``. A folder of the user's own, with the same subfolders, replaces the files
that it holds. Templates run in Jinja's sandbox, and they cannot read other files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from videopath.core.choices import WORDINGS, Wording
from videopath.core.errors import InputError
from videopath.core.files import sha256_text

if TYPE_CHECKING:
    from jinja2 import Template

PromptName = Literal[
    "question", "frames", "describe", "finding", "diagnose", "choose", "one_prompt", "ask", "repair"
]
PROMPT_NAMES: dict[Wording, tuple[PromptName, ...]] = {
    "videopath": ("question", "describe", "one_prompt", "diagnose", "ask"),
    "plain": ("question", "frames", "describe", "finding", "diagnose", "choose", "ask", "repair"),
}
"""The prompts of each wording."""
SUFFIX = ".jinja"

_FOLDER = Path(__file__).parent / "wordings"
_OF_CASE = frozenset(
    ("question", "site", "seconds", "description", "cases", "candidates", "diagnosis", "frames")
)
_VARIABLES: dict[PromptName, frozenset[str]] = {
    **dict.fromkeys(get_args(PromptName), _OF_CASE | {"form"}),
    "question": frozenset(("site", "seconds")),
    "frames": frozenset(("site", "seconds")),
    "repair": frozenset(("prompt", "answer", "error", "form")),
}
_EVIDENCE_WORDS = 32
_SOURCE_CHARACTERS = 20_000


@dataclass(frozen=True)
class SimilarCaseText:
    """A similar case in a prompt."""

    diagnosis: str
    description: str


@dataclass(frozen=True)
class PromptFacts:
    """What a prompt may say about a case.

    Attributes:
        site: The canonical site; ``None`` if it is not given.
        question: The user's question; ``None`` if the default question is asked.
        seconds: Presentation time of each frame in the source.
        description: The description of the clip.
        cases: Similar cases as evidence, the most similar last.
        candidates: The diagnoses that the answer is chosen from; empty if any diagnosis may be the answer.
        diagnosis: The diagnosis of the case, for follow-up questions.
    """

    site: str | None = None
    question: str | None = None
    seconds: Sequence[float] = ()
    description: str = ""
    cases: Sequence[SimilarCaseText] = ()
    candidates: Sequence[str] = ()
    diagnosis: str = ""


class PromptSet:
    """The prompts of one wording."""

    def __init__(
        self, wording: Wording, sources: Mapping[PromptName, str], own: Mapping[PromptName, Path]
    ) -> None:
        """Compile the templates.

        Args:
            wording: The wording.
            sources: The text of each template.
            own: The user's own files among them.

        Raises:
            InputError: A template is not valid.
        """
        self.wording = wording
        self.sources = dict(sources)
        self.own = dict(own)
        self.sha256 = sha256_text(json.dumps(self.sources, sort_keys=True, ensure_ascii=False))
        """SHA-256 of all templates of the wording."""
        self._templates = {
            name: _compiled(name, source, _where(wording, name, self.own)) for name, source in sources.items()
        }

    def default_question(self, facts: PromptFacts) -> str:
        """Return the question that is asked if the user gives none."""
        return self._render("question", facts, {}).strip()

    def describe(self, facts: PromptFacts, form: str = "") -> str:
        """Return the question for a description without a diagnosis. ``form``: the JSON of the answer."""
        return self._render("describe", facts, {"form": form})

    def finding(self, facts: PromptFacts) -> str:
        """Return the question that single findings are scored as answers to."""
        return self._render("finding" if "finding" in self.sources else "describe", facts, {"form": ""})

    def diagnose(self, facts: PromptFacts, form: str = "") -> str:
        """Return the question for a diagnosis and its reasons. ``form``: the JSON of the answer."""
        return self._render("diagnose", facts, {"form": form})

    def choose(self, facts: PromptFacts) -> str:
        """Return the question that diagnoses are scored as answers to; short answers to it are sampled."""
        return self._render("choose" if "choose" in self.sources else "diagnose", facts, {"form": ""})

    def one_prompt(self, facts: PromptFacts) -> str:
        """Return the question for description and diagnosis in one answer; only "videopath" has one."""
        return self._render("one_prompt", facts, {"form": ""})

    def ask(self, facts: PromptFacts) -> str:
        """Return a person's follow-up question, ``facts.question``, as the model is asked it."""
        return self._render("ask", facts, {"form": ""})

    def repair(self, prompt: str, answer: str, error: str, form: str) -> str:
        """Return the question that asks for an answer again; only "plain" has one.

        Args:
            prompt: What was asked.
            answer: What was answered.
            error: Why the answer could not be read, in a sentence.
            form: The JSON of the answer.
        """
        return self._filled("repair", {"prompt": prompt, "answer": answer, "error": error, "form": form})

    def _render(self, name: PromptName, facts: PromptFacts, more: dict[str, str]) -> str:
        values: dict[str, object] = {
            "site": facts.site,
            "seconds": [_in_words(second) for second in facts.seconds],
        }
        if name not in ("question", "frames"):
            values |= {
                "question": facts.question or self.default_question(facts),
                "frames": self._render("frames", facts, {}).strip() if "frames" in self.sources else "",
                "description": facts.description,
                "cases": [
                    SimilarCaseText(case.diagnosis, _first_words(case.description)) for case in facts.cases
                ],
                "candidates": list(facts.candidates),
                "diagnosis": facts.diagnosis,
            }
        return self._filled(name, values | more)

    def _filled(self, name: PromptName, values: dict[str, object]) -> str:
        from jinja2 import TemplateError

        where = _where(self.wording, name, self.own)
        try:
            return self._templates[name].render(values)
        except KeyError as error:
            raise InputError(f"The wording {self.wording!r} has no prompt {name!r}.") from error
        except (TemplateError, TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
            raise InputError(
                f"The prompt {where} cannot be filled in: {error}. Correct or remove it."
            ) from error


@cache
def packaged_prompts(wording: Wording) -> PromptSet:
    """Return the prompts of a wording as they come with the project."""
    sources = {name: _read(_FOLDER / wording / f"{name}{SUFFIX}") for name in PROMPT_NAMES[wording]}
    return PromptSet(wording, sources, {})


def load_prompts(wording: Wording, folder: Path | None = None) -> PromptSet:
    """Return the prompts of a wording.

    Args:
        wording: The wording.
        folder: The user's own files, ``WORDING/NAME.jinja``; prompts without a file there are those of the project.

    Returns:
        The prompts.

    Raises:
        InputError: The folder does not exist, holds a file that is no prompt, or a prompt in it is not valid.
    """
    packaged = packaged_prompts(wording)
    if folder is None:
        return packaged
    own = _own_files(folder.expanduser(), wording)
    if not own:
        return packaged
    return PromptSet(wording, packaged.sources | {name: _read(path) for name, path in own.items()}, own)


def _own_files(folder: Path, wording: Wording) -> dict[PromptName, Path]:
    """Return the user's own prompts of a wording. A misspelt name is an error: its file would never be used."""
    if not folder.is_dir():
        raise InputError(
            f"The folder of prompts {folder} does not exist. Write one with `videopath model prompts --out FOLDER`."
        )
    allowed = {folder / one / f"{name}{SUFFIX}" for one in WORDINGS for name in PROMPT_NAMES[one]}
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        if path not in allowed:
            names = "; ".join(f"{one}/: {', '.join(PROMPT_NAMES[one])}" for one in WORDINGS)
            raise InputError(
                f"{path} is not a prompt. A folder of prompts may hold {names}; each with {SUFFIX}."
            )
    files = {name: folder / wording / f"{name}{SUFFIX}" for name in PROMPT_NAMES[wording]}
    return {name: path for name, path in files.items() if path.is_file()}


def _read(path: Path) -> str:
    try:
        source = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"The prompt {path} cannot be read: {reason}.") from error
    if len(source) > _SOURCE_CHARACTERS:
        raise InputError(
            f"The prompt {path} has {len(source)} characters; {_SOURCE_CHARACTERS} are allowed. Shorten it."
        )
    return source


def _compiled(name: PromptName, source: str, where: str) -> Template:
    """Compile a template, and check that it uses only what it is given."""
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.meta import find_referenced_templates, find_undeclared_variables
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    try:
        parsed = environment.parse(source)
        template = environment.from_string(source)
    except (TemplateError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        at = f" in line {line}" if line else ""
        raise InputError(
            f"The prompt {where} is not a valid template{at}: {error}. Correct or remove it."
        ) from error
    if list(find_referenced_templates(parsed)):
        raise InputError(
            f"The prompt {where} includes another template, which is not possible. Write it out."
        )
    unknown = find_undeclared_variables(parsed) - _VARIABLES[name] - set(environment.globals)
    if unknown:
        raise InputError(
            f"The prompt {where} uses {', '.join(sorted(unknown))}, which it is not given. "
            f"It may use: {', '.join(sorted(_VARIABLES[name]))}."
        )
    return template


def _where(wording: Wording, name: PromptName, own: Mapping[PromptName, Path]) -> str:
    return str(own.get(name, f"{wording}/{name}{SUFFIX}"))


def _in_words(second: float) -> str:
    """Return a number of seconds with at most two decimals: "0", "1.5", "12.04"."""
    return f"{second:.2f}".rstrip("0").rstrip(".")


def _first_words(text: str) -> str:
    words = text.split()
    return " ".join(words) if len(words) <= _EVIDENCE_WORDS else " ".join(words[:_EVIDENCE_WORDS]) + " …"
