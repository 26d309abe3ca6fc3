"""``videopath knowledge build``, ``add``, ``update``, ``edit``, ``remove`` and ``merge``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.commands.knowledge.options import Folder, MediaFolder, NamedEncoder, OnError
from videopath.app.cli.commands.knowledge.output import left_out_of, show_history, show_info
from videopath.app.cli.commands.knowledge.viewers import viewer_by_name, viewer_of
from videopath.app.cli.options import AsJson, Home, Verbose, Yes
from videopath.core.choices import IndexChoice
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord
    from videopath.knowledge.records.record import OnLeftOut

Sources = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Instruction data: JSON, JSON lines or CSV files, folders of Hugging Face datasets, or knowledge bases.",
        exists=True,
    ),
]
Licence = Annotated[
    str | None, typer.Option("--licence", help="Licence of records that do not name one.", show_default=False)
]
Cases = Annotated[
    bool, typer.Option("--cases", help="Also add the signed cases of the library that are not in it yet.")
]
NewText = Annotated[
    str | None, typer.Option(help="The new text of this field; an empty one removes it.", show_default=False)
]
Note = Annotated[str, typer.Option("--note", help="Reason of the change, for the log.", show_default=False)]


def build(
    folder: Folder,
    sources: Sources = None,
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder", help="A sentence-transformers model; default: all-MiniLM-L6-v2.", show_default=False
        ),
    ] = None,
    media: MediaFolder = None,
    encoder: Annotated[
        list[str],
        typer.Option(
            "--image-encoder",
            help="With --media: frame encoder. The vision tower of a model (tower:NAME), efficientnet-lite0, timm:NAME, "
            "hf:NAME, or the name of an installed encoder; repeat it to combine several.",
        ),
    ] = ["tower:nano"],  # noqa: B006 - Typer reads the list; nothing changes it
    index: Annotated[
        IndexChoice,
        typer.Option(
            "--index", help="Kind of the vector index; auto: chosen by the number of vectors and the memory."
        ),
    ] = "auto",
    cases: Cases = False,
    licence: Licence = None,
    on_error: OnError = "stop",
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Build a knowledge base from instruction data. It replaces the one in FOLDER.

    If a build was interrupted, the same command continues it.
    """
    from videopath.app.cli.console import progress_bar, quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    signed = _signed_cases(set()) if cases else []
    viewer = viewer_by_name(encoder, media) if media or any(record.media for record in signed) else None
    with progress_bar("embedding") as progress, left_out_of(on_error) as left_out:
        records = chain(_records(sources, cases, licence, left_out), signed)
        base = KnowledgeBase.build(
            folder, records, embedder, progress, viewer=viewer, index=index, left_out=left_out
        )
    show_info(base, as_json)


def add(
    folder: Folder,
    sources: Sources = None,
    media: MediaFolder = None,
    encoder: NamedEncoder = None,
    cases: Cases = False,
    licence: Licence = None,
    note: Note = "",
    on_error: OnError = "stop",
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Add records to a knowledge base, either all or none."""
    from videopath.app.cli.console import progress_bar, quiet_libraries, say
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    with progress_bar("embedding") as progress, left_out_of(on_error) as left_out:
        new = list(_records(sources, cases, licence, left_out))
        viewer = viewer_of(base, media, encoder) if media else None
        base.add(new, progress, viewer=viewer, note=note)
        if cases:
            signed = _signed_cases({record.id for record in base})
            viewer = viewer_of(base, None, encoder) if base.image_encoder and signed else None
            base.add(signed, progress, viewer=viewer, note=note or "signed cases")
            say(f"Signed cases added: {len(signed)}.")
    show_info(base, as_json)


def update(
    folder: Folder,
    sources: Sources,
    media: MediaFolder = None,
    encoder: NamedEncoder = None,
    licence: Licence = None,
    note: Note = "",
    on_error: OnError = "stop",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Replace the records that have the same ids, either all or none."""
    from videopath.app.cli.console import progress_bar, quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    with progress_bar("embedding") as progress, left_out_of(on_error) as left_out:
        new = list(_records(sources, False, licence, left_out))
        base.update(new, progress, viewer=viewer_of(base, media, encoder) if media else None, note=note)
    show_info(base, as_json)


def edit(
    folder: Folder,
    record_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the record, as search shows it.")],
    by: Annotated[str, typer.Option("--by", help="Your name, for the history of the record.")],
    diagnosis: NewText = None,
    site: NewText = None,
    description: NewText = None,
    question: NewText = None,
    source: NewText = None,
    licence: NewText = None,
    patient: NewText = None,
    group: NewText = None,
    note: Note = "",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Change texts of a record; its pictures stay, and its history keeps the texts before."""
    from videopath.app.cli.console import emit_json, quiet_libraries, say
    from videopath.knowledge import KnowledgeBase
    from videopath.knowledge.records.edits import EDITABLE

    quiet_libraries(verbose)
    given = dict(
        zip(
            EDITABLE,
            (diagnosis, site, description, question, source, licence, patient, group),
            strict=True,
        )
    )
    changes = {name: text for name, text in given.items() if text is not None}
    if not changes:
        raise InputError(f"Nothing to change: give at least one of --{', --'.join(EDITABLE)}.")
    base = KnowledgeBase.open(folder)
    before = base.get(record_id)
    after = base.edit(before, changes, by=by, note=note)
    if as_json:
        emit_json(after.model_dump_json(indent=2))
    elif after == before:
        say("The record has these texts already; nothing was changed.")
    else:
        show_history(base, record_id, False)


def remove(
    folder: Folder,
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Ids of the records, as search shows them.")
    ],
    note: Note = "",
    yes: Yes = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Remove records from a knowledge base, either all or none."""
    from videopath.app.cli.console import quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    for record_id in ids:
        base.get(record_id)  # rejects an unknown id before the question
    if not yes:
        count = len(set(ids))
        if not sys.stdin.isatty():
            raise InputError(f"Removing {count} of {len(base)} records needs your confirmation: add --yes.")
        typer.confirm(f"Remove {count} of {len(base)} records from {folder}?", abort=True, err=True)
    base.remove(ids, note=note)
    show_info(base, as_json)


def merge(folder: Folder, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Rewrite the vectors of a knowledge base as one part, without those of removed records."""
    from videopath.app.cli.console import quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    base.merge()
    show_info(base, as_json)


def _records(
    sources: list[Path] | None, cases: bool, licence: str | None, left_out: OnLeftOut | None
) -> Iterator[InstructionRecord]:
    from videopath.knowledge import read_records

    if not sources and not cases:
        raise InputError("No records to read: name files of instruction data, or add --cases.")
    for source in sources or ():
        yield from read_records(source, licence, left_out)


def _signed_cases(known: set[str]) -> list[InstructionRecord]:
    """The signed, confirmed cases of the library as records, without those with a known id."""
    from videopath.agent import load_case_library
    from videopath.agent.cases.learning import record_id, record_of
    from videopath.app.cli.console import say
    from videopath.core.errors import CaseError

    library, records = load_case_library(), []
    for entry in library.list(status="signed"):
        if record_id(entry.case_id) in known:
            continue
        try:
            records.append(record_of(library.get(entry.case_id)))
        except CaseError as error:
            say(f"Skipped: {error}")
    return records
