"""``videopath diagnose``: diagnose a video and print the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli import options
from videopath.core.errors import InputError
from videopath.core.text import refuse_unwritable

Queue = Annotated[
    bool,
    typer.Option("--queue", help="Put the case into the queue for `videopath worker`, and print its id."),
]


def diagnose(
    video: Annotated[Path, typer.Argument(help="Video, image or folder of frames.", show_default=False)],
    site: options.Site = None,
    question: options.Question = None,
    model: options.Model = None,
    base: options.Base = None,
    second_opinion: options.SecondOpinion = None,
    knowledge: options.Knowledge = None,
    frames: options.Frames = None,
    start: options.Start = None,
    end: options.End = None,
    sampling: options.Sampling = "uniform",
    crop: options.Crop = None,
    um_per_pixel: options.UmPerPixel = None,
    writing: options.Writing = None,
    mask: options.Mask = None,
    unmask: options.Unmask = None,
    exclude: options.Exclude = None,
    review: options.Review = None,
    queue: Queue = False,
    strict: options.Strict = False,
    out: options.Out = None,
    as_json: options.AsJson = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    accept_licence: options.AcceptLicence = False,
    accept_uncalibrated: options.AcceptUncalibrated = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Diagnose a video step by step."""
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.app.cli.running import AgentOptions, check_folder, chosen_spec, deliver, follow, load_agent
    from videopath.core.pathology.sites import canonical_site
    from videopath.media.crop import parse_crop
    from videopath.media.masks import parse_masks

    quiet_libraries(verbose)
    spec = chosen_spec(model, base, device, dtype, accept_licence)
    agent_options = AgentOptions(spec, knowledge, review, frames, accept_uncalibrated, second_opinion)
    site = canonical_site(site) if site is not None else None
    part = None if crop is None else parse_crop(crop)
    masks = parse_masks(mask or (), unmask or ())
    _check_video(video)
    if queue and (out or strict or as_json):
        raise InputError("--queue leaves the case to a worker: --out, --json and --strict do not go with it.")
    check_folder(out)

    from videopath.agent.cases.request import CaseRequest

    request = CaseRequest(
        video,
        question,
        site,
        start,
        end,
        sampling,
        exclude or (),
        writing=writing,
        crop=part,
        um_per_pixel=um_per_pixel,
        masks=masks,
    )
    with load_agent(agent_options) as agent:
        if queue:
            typer.echo(agent.begin_case(request, queued=True))
            say("The case waits for `videopath worker`.")
            return
        follow(
            agent.library,
            request.case_id,
            lambda show: agent.stream_case(request, on_progress=show),
        )
        deliver(agent.report(request.case_id), as_json=as_json, out=out, strict=strict)


def _check_video(video: Path) -> None:
    refuse_unwritable(video, "the video")
    if not video.exists():
        raise InputError(f"There is no file {video}; give a video, an image or a folder of frames.")
