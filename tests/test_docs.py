"""The documentation names what exists: commands with their options, links, settings, modules, formats."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from videopath.app.cli.main import app

_ROOT = Path(__file__).resolve().parents[1]
_DOCS = _ROOT / "docs"
_PAGES = sorted([*_DOCS.rglob("*.md"), *_ROOT.glob("*.md"), *(_ROOT / "app" / "skill").rglob("*.md")])
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+?)(?: \{#([\w-]+)\})?$", re.MULTILINE)
_VARIABLE = re.compile(r"[A-Z_]+=\S*")
_OTHERS = {".", "git", "langgraph", "lmms-eval", "make", "pip", "pre-commit"}
"""Programs whose arguments are not checked here."""


def _name(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


def _blocks(language: str) -> list[tuple[str, str]]:
    """Return (page, text) of every fenced block of a language."""
    return [
        (_name(page), text)
        for page in _PAGES
        for found, text in _FENCE.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def _typed() -> Iterator[tuple[str, list[str]]]:
    """Return (page, words) of every command in a bash block, without variables before it."""
    for page, block in _blocks("bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s&&\s", line):
                words = shlex.split(part, comments=True)
                while words and _VARIABLE.fullmatch(words[0]):
                    words.pop(0)
                if words:
                    yield page, words


@dataclass(frozen=True)
class _Option:
    takes_value: bool
    choices: frozenset[str]


@dataclass(frozen=True)
class _Command:
    """What a command of the command line takes."""

    options: dict[str, _Option]
    least: int
    most: float


@cache
def _root() -> Any:
    return get_command(app)


def _command_of(words: list[str]) -> tuple[_Command, list[str]]:
    """Return the command that the words after ``videopath`` call, and what follows its name.

    Raises:
        AssertionError: There is no such command.
    """
    command, rest = _root(), list(words)
    flags = {name for one in command.params if one.is_flag for name in one.opts}
    while rest and rest[0] in flags:  # options of all commands stand first
        rest.pop(0)
    if rest[:1] == ["evaluate"] and (len(rest) < 2 or rest[1] not in command.commands["evaluate"].commands):
        rest.insert(1, "clips" if "--data" in rest else "answers")
    while hasattr(command, "commands"):
        assert rest, "a command is missing"
        assert rest[0] in command.commands, f"there is no command {rest[0]!r}"
        command = command.commands[rest.pop(0)]
    options: dict[str, _Option] = {"--help": _Option(False, frozenset())}
    arguments = []
    for one in command.params:
        if one.param_type_name == "argument":
            arguments.append(one)
            continue
        choices = frozenset(one.metavar.split("|")) if "|" in (one.metavar or "") else frozenset()
        for name in (*one.opts, *one.secondary_opts):
            options[name] = _Option(not one.is_flag, choices)
    many = any(one.nargs == -1 for one in arguments)
    least = sum(1 for one in arguments if one.required)
    return _Command(options, least, float("inf") if many else len(arguments)), rest


def _check(words: list[str]) -> None:
    """Check the words after ``videopath``. Raises ``AssertionError`` that names what is wrong."""
    command, rest = _command_of(words)
    given = 0
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            given += 1
            continue
        assert word in command.options, f"there is no option {word}"
        option = command.options[word]
        if option.takes_value:
            assert rest, f"{word} takes a value"
            value = rest.pop(0)
            assert not option.choices or value in option.choices, f"{word} does not take {value!r}"
    assert command.least <= given <= command.most, f"{given} arguments were given"


def _check_python(words: list[str]) -> None:
    """Check ``python SCRIPT …`` and ``python -m MODULE …``."""
    if words[:1] == ["-m"]:
        module = words[1]
        if module == "videopath.app.cli":
            _check(words[2:])
        elif module == "pip":
            for extra in re.findall(r"\.\[([\w,]+)\]", " ".join(words)):
                assert set(extra.split(",")) <= set(_PROJECT["project"]["optional-dependencies"]), extra
        else:
            assert importlib.util.find_spec(module) is not None, f"there is no module {module}"
        return
    script = _ROOT / words[0]
    assert script.is_file(), f"there is no {words[0]}"
    text = script.read_text(encoding="utf-8")
    for option in [word for word in words[1:] if word.startswith("--")]:
        assert f'"{option}"' in text, f"{words[0]} has no option {option}"


def _check_line(words: list[str]) -> None:
    program, rest = words[0].removeprefix(".venv/bin/"), words[1:]
    if program == "videopath":
        _check(rest)
    elif program in ("python", "python3"):
        _check_python(rest)
    elif program == "accelerate":
        config = rest[rest.index("--config_file") + 1]
        assert (_ROOT / config).is_file(), f"there is no {config}"
        _check_python(rest[rest.index("-m") :])
    else:
        assert program in _OTHERS or program.startswith("lmms/bin/"), (
            f"the program {program!r} is not known here"
        )


def test_the_checker_of_commands_finds_mistakes() -> None:
    _check(["diagnose", "case.mp4", "--site", "colon", "--review", "always"])
    _check(["evaluate", "questions.json", "--controls"])
    for wrong, reason in (
        (["diagnose", "case.mp4", "--sight", "colon"], "no option --sight"),
        (["diagnose", "case.mp4", "--review", "sometimes"], "does not take 'sometimes'"),
        (["diagnose"], "0 arguments"),
        (["diagnose", "a.mp4", "b.mp4"], "2 arguments"),
        (["cases", "print"], "no command 'print'"),
        (["cases"], "a command is missing"),
        (["cases", "export", "ID", "--format"], "takes a value"),
    ):
        with pytest.raises(AssertionError, match=reason):
            _check(wrong)


def test_every_command_of_the_pages_exists_with_its_options() -> None:
    wrong = []
    for page, words in _typed():
        try:
            _check_line(words)
        except AssertionError as error:
            wrong.append(f"{page}: {shlex.join(words)}: {str(error).splitlines()[0]}")
    assert wrong == []


def test_commands_within_sentences_exist() -> None:
    wrong, count = [], 0
    for page in _PAGES:
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for code in re.findall(r"`videopath ([^`…]+)…?`", prose):
            words = shlex.split(code)
            count += 1
            try:
                command, rest = _command_of([word for word in words if word not in ("--help", "--version")])
                unknown = [w for w in rest if w.startswith("-") and w not in command.options]
                assert not unknown, f"there is no option {unknown}"
            except AssertionError as error:
                if "a command is missing" not in str(error):  # a group is named as a whole
                    wrong.append(f"{_name(page)}: videopath {code}: {error}")
    assert wrong == []
    assert count > 20


def test_the_page_of_commands_is_what_the_command_line_says() -> None:
    spec = importlib.util.spec_from_file_location("commands_page", _DOCS / "commands.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (_DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    assert module.page() == written, "write it again: python docs/commands.py"


def _slug(heading: str) -> str:
    """The anchor of a heading, as Python-Markdown makes it."""
    plain = re.sub(r"`|\*|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    ascii_only = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", ascii_only).strip().lower())


def _anchors(page: Path) -> set[str]:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {own or _slug(heading) for heading, own in _HEADING.findall(text)}


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    wrong = []
    for page in _PAGES:
        text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
        for link in _LINK.findall(text):
            target, _, anchor = link.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            path = (page.parent / target).resolve() if target else page
            if not path.exists():
                wrong.append(f"{_name(page)}: {link}")
            elif anchor and path.suffix == ".md" and anchor not in _anchors(path):
                wrong.append(f"{_name(page)}: {link} has no such heading")
    assert wrong == []


def test_every_page_is_in_the_navigation() -> None:
    def pages(entries: list[Any]) -> Iterator[str]:
        for entry in entries:
            value = next(iter(entry.values())) if isinstance(entry, dict) else entry
            yield from pages(value) if isinstance(value, list) else [value]

    listed = list(pages(yaml.safe_load((_ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    written = {page.relative_to(_DOCS).as_posix() for page in _DOCS.rglob("*.md")}
    of_root = {"model-card.md", "security.md", "changelog.md", "contributing.md"}  # docs/hooks.py
    assert sorted(listed) == sorted(written | of_root)


def test_every_setting_is_documented() -> None:
    from videopath.core.settings import Settings

    text = (_DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    missing = [
        name for name in Settings.model_fields if f"| `{name}` | `VIDEOPATH_{name.upper()}` |" not in text
    ]
    assert missing == []
    assert set(re.findall(r"^\| `(\w+)` \| `VIDEOPATH", text, re.MULTILINE)) == set(Settings.model_fields)


def test_the_reference_names_what_can_be_imported() -> None:
    count = 0
    for page in sorted((_DOCS / "reference" / "api").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for package in re.findall(r"^\[public names of ([\w.]+)\]$", text, re.MULTILINE):
            count += len(importlib.import_module(package).__all__)
        for name in re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE):
            count += 1
            if importlib.util.find_spec(name.rpartition(".")[0]) and not _is_module(name):
                module, _, attribute = name.rpartition(".")
                assert hasattr(importlib.import_module(module), attribute), f"{page.name}: {name}"
            else:
                assert _is_module(name), f"{page.name}: {name}"
    assert count > 60


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def test_python_examples_import_what_exists() -> None:
    blocks = _blocks("python")
    for page, text in blocks:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("videopath"):
                module = importlib.import_module(str(node.module))
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert missing == [], f"{page}: {node.module} has no {missing}"
    assert len(blocks) > 5


def test_the_recipe_is_valid(tmp_path: Path) -> None:
    from videopath.training.recipe import load_recipe

    recipes = [text for _, text in _blocks("yaml") if text.startswith("kind:")]
    assert recipes
    for number, text in enumerate(recipes):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
        load_recipe(str(tmp_path / f"{number}.yaml"))


def test_the_settings_files_are_valid(own_home: Path) -> None:
    from videopath.core.settings import Settings, load_settings

    files = [text for page, text in _blocks("toml") if "review =" in text]
    assert len(files) > 1
    own_home.mkdir()
    for text in files:
        (own_home / "videopath.toml").write_text(text, encoding="utf-8")
        given = tomllib.loads(text)
        assert set(given) <= set(Settings.model_fields)
        assert load_settings().review == given["review"]


def test_the_json_examples_are_read(tmp_path: Path) -> None:
    from videopath.knowledge import read_records
    from videopath.training.data.instructions import read_instructions

    kinds = set()
    for _, text in _blocks("json"):
        file = tmp_path / "example.json"
        file.write_text(json.dumps([json.loads(text)]), encoding="utf-8")
        if "mcpServers" in text:
            kinds.add("client")
            for server in json.loads(text)["mcpServers"].values():
                if "command" in server:
                    _check_line([server["command"], *server["args"]])
        elif "conversations" in text:
            kinds.add("conversation")
            assert len(read_instructions(file)) == 1
        else:
            kinds.add("record")
            assert next(iter(read_records(file))).diagnosis == "colon adenocarcinoma"
    assert kinds == {"client", "conversation", "record"}


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_site_builds_without_a_warning_and_asks_no_other_machine(tmp_path: Path) -> None:
    needed = ("mkdocs", "material", "mkdocstrings", "griffe_pydantic")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: the site is built with the extra docs")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    answer = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > 40
    loaded = re.compile(
        r"<(?:script|img|iframe)[^>]+src=\"?https?://|<link[^>]+rel=\"?(?:stylesheet|preconnect)\"?[^>]+https?://"
    )
    assert [page.name for page in pages if loaded.search(page.read_text(encoding="utf-8"))] == []
