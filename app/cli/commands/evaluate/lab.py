"""``videopath evaluate lab``: measure the agent with a laboratory's own cases as its knowledge base."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videopath.app.cli.options import AsJson, Home, Verbose
from videopath.core.choices import MAX_LOOKS

if TYPE_CHECKING:
    from videopath.evaluation.lab import LabCase, PictureOf

Manifest = Annotated[
    Path,
    typer.Option(
        "--base",
        help="CSV of the cases that become the knowledge base: path, site, diagnosis, group.",
        exists=True,
        dir_okay=False,
    ),
]


def lab(
    base: Manifest,
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            help="CSV of the test cases, of other groups; default: half of the groups of --base.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", help="Use only cases of this site.", show_default=False)
    ] = None,
    foreign: Annotated[
        Path | None,
        typer.Option(
            "--foreign",
            help="CSV of tissue of other organs. It is asked about with the base's site; the agent should abstain.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    foreign_count: Annotated[
        int, typer.Option("--foreign-count", min=1, help="Most cases of --foreign to use.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the split into halves.")] = 12,
    model: Annotated[str, typer.Option("--model", help="nano, or a checkpoint folder.")] = "nano",
    encoder: Annotated[
        list[str],
        typer.Option("--image-encoder", help="Frame encoder of the knowledge base; can be repeated."),
    ] = ["tower:nano"],  # noqa: B006 - Typer reads the list; nothing changes it
    stain: Annotated[
        bool, typer.Option("--stain", help="Control: give all pictures the same stain colour first.")
    ] = False,
    looks: Annotated[
        int, typer.Option("--looks", min=0, max=MAX_LOOKS, help="Most closer looks of a case.")
    ] = 2,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write every answer to this file, as JSON lines.")
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Measure the agent with a laboratory's own cases: one half becomes the knowledge base, the other half is the test.

    It is compared with the model alone, the vote of the cases alone, and the baseline by colour.
    """
    from videopath.agent import DiagnosticAgent
    from videopath.agent.policy import Policy
    from videopath.app.cli.commands.knowledge.viewers import viewer_by_name
    from videopath.app.cli.console import (
        collect_with_progress,
        emit_json,
        plain,
        progress_bar,
        quiet_libraries,
        say,
        stdout,
        table,
    )
    from videopath.app.figures.lab import SYSTEMS, lines, systems, title
    from videopath.core.files import write_text
    from videopath.core.pathology.sites import canonical_site
    from videopath.core.settings import load_settings
    from videopath.evaluation import lab

    quiet_libraries(verbose)
    cases = lab.read_cases(base)
    if site:
        cases = [case for case in cases if case.site == canonical_site(site)]
    base_cases, test_cases = (cases, lab.read_cases(query)) if query else lab.halves(cases, seed)
    if site and query:
        test_cases = [case for case in test_cases if case.site == canonical_site(site)]
    lab.refuse_shared_groups(base_cases, test_cases)
    strangers = _strangers(foreign, base_cases, foreign_count, seed) if foreign else []
    with tempfile.TemporaryDirectory() as folder, _pictures(stain, Path(folder)) as picture_of:
        with progress_bar("encoding the cases") as progress:
            lab.build_base(
                Path(folder) / "base", base_cases, viewer_by_name(encoder, None), picture_of, progress
            )
        with DiagnosticAgent.load(
            model=model,
            knowledge=Path(folder) / "base",
            policy=Policy(max_looks=looks),
            home=Path(folder) / "home",
        ) as agent:
            questions = [*((case, False) for case in test_cases), *((case, True) for case in strangers)]
            name = agent.info.name
            answers = collect_with_progress(
                lab.ask_all(agent, base_cases, questions, picture_of), len(questions), "cases answered"
            )
    if out:
        write_text(out, "".join(answer.model_dump_json() + "\n" for answer in answers))
    report = lab.summarise_lab(base_cases, answers, stain, base.name, name, " + ".join(encoder))
    report_path = lab.save_lab_report(report, load_settings().home)
    if as_json:
        emit_json(report.model_dump_json(indent=2))
        return
    say(f"Kept for the page Benchmarks: {report_path}")
    console = stdout()
    console.print(plain(title(report)), soft_wrap=True)
    console.print(table(SYSTEMS, systems(report)))
    for line in lines(report):
        console.print(plain(line), soft_wrap=True)


def _strangers(manifest: Path, base_cases: list[LabCase], count: int, seed: int) -> list[LabCase]:
    """Draw tissue of sites that the base does not have, labelled with the base's first site."""
    import numpy as np

    from videopath.evaluation.lab import read_cases

    sites = {case.site for case in base_cases}
    others = [case for case in read_cases(manifest) if case.site not in sites]
    indices = np.random.default_rng(seed).permutation(len(others))[:count]
    base_site = sorted(sites)[0]
    return [others[index].model_copy(update={"site": base_site}) for index in sorted(indices)]


@contextmanager
def _pictures(stain: bool, folder: Path) -> Iterator[PictureOf]:
    """Yield a function that returns the file to show: the file itself, or a copy of its frames in one stain colour."""
    import numpy as np
    from PIL import Image

    from videopath.core.files import sha256_text
    from videopath.media.quality.stain import one_colour
    from videopath.model import open_clip

    def restained(path: Path) -> Path:
        target = folder / "stain" / f"{sha256_text(str(path))[:16]}"
        clip = open_clip(path, 8, writing="keep")
        if clip.kind == "image":
            target = target.with_suffix(".png")
        if not target.exists():
            frames = one_colour(clip.frames[np.unique(clip.indices, return_index=True)[1]])
            files = (
                [target] if clip.kind == "image" else [target / f"{n:03d}.png" for n in range(len(frames))]
            )
            files[0].parent.mkdir(parents=True, exist_ok=True)
            for file, frame in zip(files, frames, strict=True):
                Image.fromarray(frame).save(file)
        return target

    yield restained if stain else lambda path: path
