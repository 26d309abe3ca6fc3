"""``videopath knowledge``: build, extend, search and check knowledge bases."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from videopath.app.options import AsJson, Home, Site, Verbose, Yes
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import InstructionRecord, KnowledgeBase
    from videopath.knowledge.audit import Overlap
    from videopath.knowledge.records import LeftOut

app = typer.Typer(
    no_args_is_help=True, help="Knowledge bases: records of cases, found by what they describe."
)

Sources = Annotated[
    list[Path],
    typer.Argument(
        help="Instruction data: JSON, JSON lines, CSV files or folders of Hugging Face datasets.",
        exists=True,
    ),
]
Folder = Annotated[Path, typer.Argument(help="Folder of the knowledge base.")]
MaybeFolder = Annotated[
    Path | None,
    typer.Argument(help="Folder of the knowledge base; default: the starter.", show_default=False),
]
Licence = Annotated[
    str | None, typer.Option("--licence", help="Licence of records that name none.", show_default=False)
]
OnError = Annotated[
    Literal["stop", "skip"],
    typer.Option("--on-error", help="At a damaged record: stop, or leave it out, name it and count it."),
]
_NAMED = 10  # damaged records that are named; more are only counted


@app.command()
def build(
    folder: Folder,
    sources: Sources,
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder", help="A sentence-transformers model; default: all-MiniLM-L6-v2.", show_default=False
        ),
    ] = None,
    licence: Licence = None,
    on_error: OnError = "stop",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Build a knowledge base from instruction data, in place of the one in FOLDER."""
    from videopath.app.console import progress_bar, quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    with progress_bar("embedding") as progress:
        base = KnowledgeBase.build(folder, _records(sources, licence, on_error), embedder, progress)
    _show_info(base, as_json)


@app.command()
def add(
    folder: Folder,
    sources: Sources,
    licence: Licence = None,
    on_error: OnError = "stop",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Add records to a knowledge base: all of them or none."""
    from videopath.app.console import progress_bar, quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    with progress_bar("embedding") as progress:
        base.add(_records(sources, licence, on_error), progress)
    _show_info(base, as_json)


@app.command()
def remove(
    folder: Folder,
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of records, as search shows them.")],
    yes: Yes = False,
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """Remove records from a knowledge base: all of them or none."""
    from videopath.app.console import quiet_libraries
    from videopath.knowledge import KnowledgeBase

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    for record_id in ids:
        base.get(record_id)  # an unknown one is told before the question
    if not yes:
        count = len(set(ids))
        if not sys.stdin.isatty():
            raise InputError(f"Removing {count} of {len(base)} records needs your word: add --yes.")
        typer.confirm(f"Remove {count} of {len(base)} records from {folder}?", abort=True, err=True)
    base.remove(ids)
    _show_info(base, as_json)


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A description of the tissue.")],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--knowledge",
            "-k",
            help="Folder of the knowledge base; default: the starter.",
            show_default=False,
        ),
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=1000, help="How many cases.")] = 5,
    site: Site = None,
    exclude_source: Annotated[
        str | None,
        typer.Option("--exclude-source", help="A video whose own records are left out.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """The cases that are most similar to a description."""
    from rich.padding import Padding

    from videopath.app.console import emit_json, plain, quiet_libraries, stdout

    quiet_libraries(verbose)
    hits = _opened(folder).search(query, number, site, exclude_source)
    if as_json:
        emit_json(json.dumps([hit.model_dump(mode="json") for hit in hits], ensure_ascii=False, indent=2))
        return
    console = stdout()
    for hit in hits:
        record = hit.record
        console.print(
            plain(f"{hit.rank}. {record.diagnosis or 'no diagnosis'}  {hit.score:.3f}  {record.id}", "bold")
        )
        console.print(Padding(plain(record.description), (0, 0, 1, 3)))


@app.command()
def info(folder: MaybeFolder = None, as_json: AsJson = False, home: Home = None) -> None:
    """What a knowledge base holds: counts, embedder, hashes."""
    _show_info(_opened(folder), as_json)


@app.command()
def verify(folder: MaybeFolder = None, as_json: AsJson = False, home: Home = None) -> None:
    """Compare every file and vector with the manifest; exit code 1 when something is wrong."""
    from videopath.app.console import emit_json, stdout
    from videopath.core.settings import load_settings
    from videopath.knowledge import STARTER_FOLDER, verify_folder

    place = folder or load_settings().knowledge or STARTER_FOLDER
    problems = verify_folder(place)
    if as_json:
        emit_json(json.dumps({"folder": str(place), "problems": problems}, ensure_ascii=False, indent=2))
    else:
        lines = problems or [f"{place} is whole."]
        stdout().print("\n".join(lines), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@app.command()
def audit(
    test: Annotated[
        Path,
        typer.Argument(help="The test set: a file that `build` reads, or a knowledge base.", exists=True),
    ],
    folder: Annotated[Path, typer.Argument(metavar="KB", help="Folder of the knowledge base.")],
    near: Annotated[
        float, typer.Option("--near", help="Cosine from which two descriptions are nearly the same.")
    ] = 0.95,
    on_error: OnError = "stop",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """List what a test set shares with a knowledge base: ids, sources, texts; exit code 1 when it shares any."""
    from videopath.app.console import emit_json, plain, quiet_libraries, stdout, table
    from videopath.knowledge import KnowledgeBase
    from videopath.knowledge.audit import audit as overlaps_of
    from videopath.knowledge.audit import records_of

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    with _left_out(on_error) as left_out:
        records = list(records_of(test, left_out))
    found = overlaps_of(records, base, near)
    if as_json:
        emit_json(json.dumps([overlap.model_dump() for overlap in found], ensure_ascii=False, indent=2))
    else:
        if found:
            head = ("reason", "test", "knowledge base", "records", "cosine", "shared")
            stdout().print(table(head, map(_overlap_row, found)))
        counts = Counter(overlap.reason for overlap in found)
        told = ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "nothing shared"
        concerned = len({overlap.test for overlap in found})
        stdout().print(
            plain(f"{concerned} of {len(records)} test records overlap with {len(base)} records: {told}.")
        )
    if found:
        raise typer.Exit(1)


def _overlap_row(overlap: Overlap) -> tuple[str, ...]:
    cosine = "" if overlap.similarity is None else f"{overlap.similarity:.3f}"
    shared = overlap.shared if len(overlap.shared) <= 60 else overlap.shared[:59] + "…"
    return (overlap.reason, overlap.test, overlap.base, str(overlap.records), cosine, shared)


def _opened(folder: Path | None) -> KnowledgeBase:
    from videopath.core.settings import load_settings
    from videopath.knowledge import KnowledgeBase

    folder = folder or load_settings().knowledge
    return KnowledgeBase.open(folder) if folder else KnowledgeBase.starter()


def _records(sources: list[Path], licence: str | None, on_error: str) -> Iterator[InstructionRecord]:
    from videopath.knowledge import read_records

    with _left_out(on_error) as left_out:
        for source in sources:
            yield from read_records(source, licence, left_out)


@contextmanager
def _left_out(on_error: str) -> Iterator[LeftOut | None]:
    """Names the first damaged records on stderr and counts them all; with "stop" there is nobody to be told."""
    from videopath.app.console import say

    damaged: list[str] = []
    yield (lambda error: damaged.append(str(error))) if on_error == "skip" else None
    for sentence in damaged[:_NAMED]:
        say(f"Left out: {sentence}")
    if damaged:
        say(f"{len(damaged)} damaged {'entry was' if len(damaged) == 1 else 'entries were'} left out.")


def _show_info(base: KnowledgeBase, as_json: bool) -> None:
    from videopath.app.console import emit_json, stdout, table

    info = base.info()
    if as_json:
        emit_json(info.model_dump_json(indent=2))
        return
    rows = [
        ("folder", info.folder),
        ("records", f"{info.records} from {info.sources} sources, {info.diagnosed} with a diagnosis"),
        ("sites", ", ".join(f"{site} {count}" for site, count in info.sites.items())),
        ("licences", ", ".join(f"{name} {count}" for name, count in info.licences.items())),
        ("embedder", f"{info.embedder.name} ({info.embedder.sha256[:12]}…)"),
        ("index", f"{info.index_sha256[:12]}…"),
    ]
    stdout().print(table(("", ""), rows))
