"""Write docs/reference/commands.md from the command line itself: python docs/commands.py"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from typer.main import get_command

from videopath.app.cli.main import app

PAGE = Path(__file__).resolve().parent / "reference" / "commands.md"
_HEAD = """\
# Command line

This page is written by `python docs/commands.py` from the commands themselves; a test compares the two.

With `--log-json` before the command, as in `videopath --log-json app`, the log goes to stderr, one JSON object a line, and
nothing else does.

Progress goes to stderr. With `--json` a command prints one JSON document to stdout, and nothing else.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage or unreadable input |
| 3 | the case waits for a person's review |
| 4 | the agent abstained (only with `--strict`) |
| 130 | interrupted |

`videopath evaluate SET` is short for `videopath evaluate answers SET`, and `videopath evaluate --data DIR` for
`videopath evaluate clips --data DIR`.
"""


def page() -> str:
    """Return the whole page."""
    root: Any = get_command(app)
    return "\n".join([_HEAD, *_sections(root, "videopath")])


def _sections(command: Any, name: str) -> list[str]:
    """A section for each command below ``command``, groups before their commands."""
    parts = []
    for sub, child in sorted(getattr(command, "commands", {}).items()):
        if child.hidden:
            continue
        full = f"{name} {sub}"
        level = "##" if name == "videopath" else "###"
        parts.append(f"{level} {full}\n\n{_help(child)}\n")
        if not hasattr(child, "commands"):
            parts.append(_usage(child, full))
        parts += _sections(child, full)
    return parts


def _help(command: Any) -> str:
    paragraphs = (command.help or "").split("\n\n")
    return "\n\n".join(_plain(paragraph) for paragraph in paragraphs)


def _usage(command: Any, name: str) -> str:
    kinds = get_type_hints(command.callback) if command.callback else {}
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    words = [_argument(one) for one in arguments]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *words])
    rows = [f"| `{_argument(one)}` | {_cell(one.help)} | |" for one in arguments]
    rows += [
        f"| {_names(one, kinds.get(one.name, bool))} | {_cell(one.help)} | {_default(one)} |"
        for one in options
    ]
    table = ["| | meaning | default |", "|---|---|---|", *rows, ""] if rows else []
    return "\n".join([f"```text\n{usage}\n```\n", *table])


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("[]").removesuffix("...")
    name += "..." if parameter.nargs == -1 else ""
    return name if parameter.required else f"[{name}]"


def _names(parameter: Any, kind: Any) -> str:
    """Return the names of an option and what it takes: ``--frames N``."""
    names = [f"`{name}`" for name in sorted(parameter.opts, key=len, reverse=True)]
    names += [f"`{name}`" for name in parameter.secondary_opts]
    value = "" if parameter.is_flag else parameter.metavar or _value(kind)
    if value:
        names[0] = f"`{parameter.opts[0]} {value.replace('|', '/')}`"
    return ", ".join(names)


def _value(kind: Any) -> str:
    """Return the word for a type of value; choices by their names."""
    inner = [one for one in get_args(kind) if one is not type(None)]
    if get_origin(kind) is Literal:
        return "|".join(map(str, inner))
    if inner:
        return _value(inner[0])
    return {Path: "PATH", int: "N", float: "NUMBER", bool: ""}.get(kind, "TEXT")


def _default(parameter: Any) -> str:
    """Return the value of an option that is not given; empty if its help says so, or if there is none."""
    value = parameter.default
    if parameter.required:
        return "required"
    if (
        isinstance(value, bool)
        or value in (None, "")
        or not isinstance(value, str | int | float | list | tuple)
    ):
        return ""
    return ", ".join(f"`{one}`" for one in (value if isinstance(value, list | tuple) else [value]))


def _cell(text: str | None) -> str:
    return _plain(text or "").replace("|", "\\|")


def _plain(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
