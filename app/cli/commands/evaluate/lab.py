"""``videopath evaluate lab``: what the agent is worth with a laboratory's own cases as its knowledge."""

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
    from videopath.evaluation.lab import LabCase, Show

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
            help="CSV of the cases that are asked, of other groups; none: half of --base, by groups.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", help="Only the cases of this site.", show_default=False)
    ] = None,
    foreign: Annotated[
        Path | None,
        typer.Option(
            "--foreign",
            help="CSV of tissue of other organs: it is asked under the base's site, and none may be answered.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    foreign_count: Annotated[int, typer.Option("--foreign-count", min=1, help="Of them at most.")] = 100,
    seed: Annotated[int, typer.Option("--seed", help="Of the halves.")] = 12,
    model: Annotated[str, typer.Option("--model", help="nano, or a checkpoint folder.")] = "nano",
    encoder: Annotated[
        list[str], typer.Option("--image-encoder", help="By which the cases are seen; may be repeated.")
    ] = ["tower:nano"],  # noqa: B006 - typer reads it and nothing changes it
    stain: Annotated[
        bool, typer.Option("--stain", help="The control: all pictures are brought to one colour first.")
    ] = False,
    looks: Annotated[int, typer.Option("--looks", min=0, max=MAX_LOOKS, help="Closer looks at most.")] = 2,
    out: Annotated[Path | None, typer.Option("--out", help="Write every answer here, as JSON lines.")] = None,
    as_json: AsJson = False,
    home: Home = None,
    verbose: Verbose = False,
) -> None:
    """Measure the agent with a laboratory's own cases: one half is its knowledge, the other is asked.

    Beside the agent stand the model alone, the vote of the cases alone, and the colour of the picture alone.
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
    from videopath.app.figures import lab as shown
    from videopath.core.files import write_text
    from videopath.core.pathology.sites import canonical_site
    from videopath.core.settings import load_settings
    from videopath.evaluation import lab as of_lab

    quiet_libraries(verbose)
    cases = of_lab.read_cases(base)
    if site:
        cases = [case for case in cases if case.site == canonical_site(site)]
    held, asked = (cases, of_lab.read_cases(query)) if query else of_lab.halves(cases, seed)
    if site and query:
        asked = [case for case in asked if case.site == canonical_site(site)]
    of_lab.refuse_shared_groups(held, asked)
    strangers = _strangers(foreign, held, foreign_count, seed) if foreign else []
    with tempfile.TemporaryDirectory() as folder, _shown(stain, Path(folder)) as show:
        with progress_bar("seeing the cases") as progress:
            of_lab.built(Path(folder) / "base", held, viewer_by_name(encoder, None), show, progress)
        with DiagnosticAgent.load(
            model=model,
            knowledge=Path(folder) / "base",
            policy=Policy(max_looks=looks),
            home=Path(folder) / "home",
        ) as agent:
            questions = [*((case, False) for case in asked), *((case, True) for case in strangers)]
            name = agent.info.name
            found = collect_with_progress(
                of_lab.answers(agent, held, questions, show), len(questions), "cases asked"
            )
    if out:
        write_text(out, "".join(answer.model_dump_json() + "\n" for answer in found))
    report = of_lab.summarised(held, found, stain, base.name, name, " + ".join(encoder))
    kept = of_lab.save_lab_report(report, load_settings().home)
    if as_json:
        emit_json(report.model_dump_json(indent=2))
        return
    say(f"Kept for the page Benchmarks: {kept}")
    console = stdout()
    console.print(plain(shown.title(report)), soft_wrap=True)
    console.print(table(shown.SYSTEMS, shown.systems(report)))
    for line in shown.lines(report):
        console.print(plain(line), soft_wrap=True)


def _strangers(manifest: Path, held: list[LabCase], count: int, seed: int) -> list[LabCase]:
    """Tissue of sites that the base does not have, asked under the base's first site; drawn by the seed."""
    import numpy as np

    from videopath.evaluation.lab import read_cases

    sites = {case.site for case in held}
    others = [case for case in read_cases(manifest) if case.site not in sites]
    drawn = np.random.default_rng(seed).permutation(len(others))[:count]
    asked_at = sorted(sites)[0]
    return [others[place].model_copy(update={"site": asked_at}) for place in sorted(drawn)]


@contextmanager
def _shown(stain: bool, folder: Path) -> Iterator[Show]:
    """What is shown in the place of a file: itself, or a copy of its frames in one colour."""
    import numpy as np
    from PIL import Image

    from videopath.core.files import sha256_text
    from videopath.media.quality.stain import one_colour
    from videopath.model import open_clip

    def restained(path: Path) -> Path:
        target = folder / "stain" / f"{sha256_text(str(path))[:16]}"
        clip = open_clip(path, 8)
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
