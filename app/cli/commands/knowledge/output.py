"""What several commands on knowledge bases print: damaged records, and the facts of a base."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from videopath.knowledge import KnowledgeBase
    from videopath.knowledge.records.record import OnLeftOut
    from videopath.knowledge.storage.manifest import EncoderMark

_LISTED = 10  # damaged records that are named; more are only counted


@contextmanager
def left_out_of(on_error: str) -> Iterator[OnLeftOut | None]:
    """Yield a callback for skipped records, and report them on stderr at the end; None for ``on_error`` "stop"."""
    from videopath.app.cli.console import say

    damaged: list[str] = []
    yield (lambda error: damaged.append(str(error))) if on_error == "skip" else None
    for sentence in damaged[:_LISTED]:
        say(f"Skipped: {sentence}")
    if damaged:
        say(f"{len(damaged)} damaged {'entry was' if len(damaged) == 1 else 'entries were'} skipped.")


def show_info(base: KnowledgeBase, as_json: bool) -> None:
    """Print what a knowledge base holds, as a table or as JSON."""
    from videopath.app.cli.console import emit_json, stdout, table

    info = base.info()
    if as_json:
        emit_json(info.model_dump_json(indent=2))
        return
    rows = [
        ("folder", info.folder),
        ("version", f"{info.version}, data {info.data_sha256[:12]}…"),
        ("records", f"{info.records} from {info.sources} sources, {info.diagnosed} with a diagnosis"),
        ("sites", ", ".join(f"{site} {count}" for site, count in info.sites.items())),
        ("licences", ", ".join(f"{name} {count}" for name, count in info.licences.items())),
        ("embedder", _encoder_line(info.embedder)),
        ("pictures", _encoder_line(info.image_encoder)),
        *((f"{view} vectors", "; ".join(parts)) for view, parts in info.index.items()),
        ("index", f"{info.index_sha256[:12]}…"),
    ]
    stdout().print(table(("", ""), rows))


def show_history(base: KnowledgeBase, record_id: str, as_json: bool) -> None:
    """Print the edits of a record, the newest first, as a table or as JSON."""
    from videopath.app.cli.console import emit_json, stdout, table

    edits = base.history(record_id)[::-1]
    if as_json:
        emit_json(json.dumps([edit.model_dump() for edit in edits], ensure_ascii=False, indent=2))
        return
    rows = [
        (str(edit.version), edit.when, edit.by, field, before, after, edit.note)
        for edit in edits
        for field, before, after in edit.changes
    ]
    stdout().print(table(("version", "when", "by", "field", "before", "after", "note"), rows))


def _encoder_line(mark: EncoderMark | None) -> str:
    return f"{mark.name} ({mark.sha256[:12]}…)" if mark else "none"
