"""``videopath knowledge search``, ``info``, ``measure``, ``log``, ``verify`` and ``audit``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.commands.knowledge.options import (
    Folder,
    MaybeFolder,
    MediaFolder,
    NamedEncoder,
    OnError,
    SearchedBase,
)
from videopath.app.cli.commands.knowledge.output import left_out_of, show_history, show_info
from videopath.app.cli.commands.knowledge.viewers import viewer_of
from videopath.app.cli.options import AsJson, Exclude, Home, Site, Verbose
from videopath.core.errors import InputError

if TYPE_CHECKING:
    from videopath.knowledge import EncodedMedia, KnowledgeBase, VersionChange
    from videopath.knowledge.audit import Overlap
    from videopath.knowledge.voting.measure import ModelMeasure


def search(
    query: Annotated[str, typer.Argument(help="Description of the tissue; optional with --image.")] = "",
    image: Annotated[
        Path | None,
        typer.Option(
            "--image",
            help="Video or image: finds records that look like it, if the knowledge base has pictures.",
            exists=True,
            show_default=False,
        ),
    ] = None,
    encoder: NamedEncoder = None,
    folder: SearchedBase = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, max=1000, help="Number of records to find.")
    ] = 5,
    site: Site = None,
    exclude: Exclude = None,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Find the records that are most similar to a description, a picture, or both."""
    from rich.padding import Padding

    from videopath.app.cli.console import emit_json, plain, quiet_libraries, stdout
    from videopath.knowledge import Query

    quiet_libraries(verbose)
    base = _open(folder)
    picture = _encode(base, image, encoder) if image else None
    request = Query(
        query,
        image=picture.vectors if picture else None,
        fingerprints=None,  # the same picture may be found
        site=site,
        exclude=tuple(exclude or ()),
    )
    result = base.find(request, number)
    if as_json:
        emit_json(result.model_dump_json(indent=2))
        return
    console = stdout()
    for hit in result.hits:
        record = hit.record
        ranks = ", ".join(f"{view} {hit.ranks.get(view, '–')}" for view in result.views)
        head = f"{hit.rank}. {record.diagnosis or 'no diagnosis'}  {hit.score:.3f}  {record.id}"
        console.print(plain(head, "bold"))
        console.print(Padding(plain(f"ranks: {ranks}", "dim"), (0, 0, 0, 3)))
        console.print(Padding(plain(record.description), (0, 0, 1, 3)))
    if result.excluded:
        console.print(plain(f"Records excluded: {len(result.excluded)}."))


def info(folder: MaybeFolder = None, as_json: AsJson = False, home: Home = None) -> None:
    """Show what a knowledge base holds: counts, embedder, hashes."""
    show_info(_open(folder), as_json)


def measure(
    folder: MaybeFolder = None,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Measure again and store the result as a new version of the knowledge base."
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Also ask this model about the base's own cases, each without its group, and fit the fusion of model and "
            "cases; the result is stored in the knowledge base.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--cases", min=30, help="With --model: most cases that the model is asked about.")
    ] = 300,
    media: MediaFolder = None,
    as_json: AsJson = False,
    home: Home = None,
) -> None:
    """Show how often the vote of a knowledge base's cases is right, by diagnosis, and what more cases would add."""
    from videopath.app.cli.console import emit_json, plain, stdout, table
    from videopath.app.figures.measure import NOT_MEASURED, summary, tables

    base = _open(folder)
    models = _with_model(base, model, limit, media) if model else {}
    result = base.remeasure(models) if anew or models else base.measure
    if as_json:
        emit_json(result.model_dump_json(indent=2) if result else "null")
        return
    console = stdout()
    if result is None:
        console.print(plain(NOT_MEASURED))
        return
    console.print(plain(summary(result)), soft_wrap=True)
    for head, rows in tables(result):
        console.print()
        console.print(table(head, rows))


def _with_model(base: KnowledgeBase, model: str, limit: int, media: Path | None) -> dict[str, ModelMeasure]:
    """SHA-256 of the model's weights → the measure of model and cases together."""
    import tempfile

    from videopath.agent import DiagnosticAgent
    from videopath.app.cli.console import collect_with_progress, quiet_libraries, say
    from videopath.evaluation.calibration import POLICY
    from videopath.evaluation.with_model import draw_cases, measure_with_model, trials

    quiet_libraries(False)
    if base.fixed:
        raise InputError("The starter cannot be changed: measure your own knowledge base.")
    records = draw_cases(base, limit, media)
    with (
        tempfile.TemporaryDirectory() as home,
        DiagnosticAgent.load(model, base.folder, policy=POLICY, home=home) as agent,
    ):
        answers = collect_with_progress(trials(agent, records, media, say), len(records), "cases answered")
        result = measure_with_model(answers, agent.info.name, agent.info.card)
        return {agent.info.weights_sha256: result}


def verify(folder: MaybeFolder = None, as_json: AsJson = False, home: Home = None) -> None:
    """Compare every file and vector with the manifest; exit code 1 if anything is wrong."""
    from videopath.app.cli.console import emit_json, stdout
    from videopath.core.settings import load_settings
    from videopath.knowledge import STARTER_FOLDER, verify_folder

    base_folder = folder or load_settings().knowledge or STARTER_FOLDER
    problems = verify_folder(base_folder)
    if as_json:
        emit_json(
            json.dumps({"folder": str(base_folder), "problems": problems}, ensure_ascii=False, indent=2)
        )
    else:
        lines = problems or [f"{base_folder} is intact."]
        stdout().print("\n".join(lines), markup=False, soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def audit(
    test: Annotated[
        Path,
        typer.Argument(help="Test set: a file that `build` reads, or a knowledge base.", exists=True),
    ],
    folder: Annotated[Path, typer.Argument(metavar="KB", help="Folder of the knowledge base.")],
    near: Annotated[
        float, typer.Option("--near", help="Cosine from which two descriptions count as nearly the same.")
    ] = 0.95,
    media: MediaFolder = None,
    encoder: NamedEncoder = None,
    on_error: OnError = "stop",
    as_json: AsJson = False,
    verbose: Verbose = False,
) -> None:
    """List what a test set shares with a knowledge base; exit code 1 if it shares anything.

    It compares ids, sources, patients, groups and texts; with --media also files and pictures.
    """
    from videopath.app.cli.console import emit_json, plain, quiet_libraries, stdout, table
    from videopath.knowledge import KnowledgeBase
    from videopath.knowledge.audit import audit as overlaps_of
    from videopath.knowledge.audit import records_of

    quiet_libraries(verbose)
    base = KnowledgeBase.open(folder)
    with left_out_of(on_error) as left_out:
        records = list(records_of(test, left_out))
    overlaps = overlaps_of(records, base, near, viewer_of(base, media, encoder) if media else None)
    if as_json:
        emit_json(json.dumps([overlap.model_dump() for overlap in overlaps], ensure_ascii=False, indent=2))
    else:
        if overlaps:
            head = ("reason", "test", "knowledge base", "records", "cosine", "shared")
            stdout().print(table(head, map(_overlap_row, overlaps)))
        counts = Counter(overlap.reason for overlap in overlaps)
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items()) or "nothing shared"
        overlapping = len({overlap.test for overlap in overlaps})
        stdout().print(
            plain(
                f"{overlapping} of {len(records)} test records overlap with {len(base)} records: {reasons}."
            )
        )
    if overlaps:
        raise typer.Exit(1)


def log(folder: MaybeFolder = None, as_json: AsJson = False, home: Home = None) -> None:
    """Show what each version of a knowledge base changed, newest first."""
    from videopath.app.cli.console import emit_json, stdout, table

    changes = _open(folder).changes()[::-1]
    if as_json:
        emit_json(json.dumps([change.model_dump() for change in changes], ensure_ascii=False, indent=2))
        return
    head = ("version", "when", "what", "records", "data", "note")
    stdout().print(table(head, map(_change_row, changes)))


def history(
    folder: Folder,
    record_id: Annotated[str, typer.Argument(metavar="ID", help="Id of the record, as search shows it.")],
    as_json: AsJson = False,
) -> None:
    """Show who edited a record, when, and what it said before."""
    base = _open(folder)
    base.get(record_id)  # rejects an unknown id
    show_history(base, record_id, as_json)


def _overlap_row(overlap: Overlap) -> tuple[str, ...]:
    cosine = "" if overlap.similarity is None else f"{overlap.similarity:.3f}"
    shared = overlap.shared if len(overlap.shared) <= 60 else overlap.shared[:59] + "…"
    return (overlap.reason, overlap.test, overlap.base, str(overlap.records), cosine, shared)


def _open(folder: Path | None) -> KnowledgeBase:
    from videopath.core.settings import load_settings
    from videopath.knowledge import KnowledgeBase

    folder = folder or load_settings().knowledge
    return KnowledgeBase.open(folder) if folder else KnowledgeBase.starter()


def _encode(base: KnowledgeBase, image: Path, encoder: Sequence[str] | None) -> EncodedMedia:
    from videopath.knowledge import Media

    return viewer_of(base, None, encoder).look(Media(path=str(image.resolve())))


def _change_row(change: VersionChange) -> tuple[str, ...]:
    counts = {"added": change.added, "updated": change.updated, "removed": change.removed}
    summary = ", ".join(f"{count} {verb}" for verb, count in counts.items() if count)
    return (
        str(change.version),
        change.when,
        f"{change.action}: {summary}" if summary else change.action,
        str(change.records),
        change.data_sha256[:12],
        change.note,
    )
