"""``videopath demo``: draw a sample case and diagnose it with nano."""

from __future__ import annotations

from pathlib import Path

from videopath.app.cli import options

_ENTITY = "colon adenocarcinoma"
_SEED = 7


def demo(
    out: options.Out = None,
    as_json: options.AsJson = False,
    device: options.Device = None,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Draw a sample case (a synthetic H&E slide) and diagnose it with nano."""
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.app.cli.running import AgentOptions, check_folder, chosen_spec, deliver, follow, load_agent
    from videopath.model.inference.spec import NANO

    quiet_libraries(verbose)
    check_folder(out)
    video, site = _sample()
    say(f"The sample is synthetic: a drawn H&E slide of {_ENTITY}, with pan and zoom ({video}).")

    from videopath.agent.cases.library import new_case_id

    case_id = new_case_id()
    agent_options = AgentOptions(chosen_spec(NANO, device=device), review="never", second_opinion="")
    with load_agent(agent_options) as agent:
        follow(
            agent.library,
            case_id,
            lambda show: agent.stream(video, site=site, case_id=case_id, on_progress=show),
        )
        deliver(agent.report(case_id), as_json=as_json, out=out)


def _sample() -> tuple[Path, str]:
    """The sample's file, which the first call draws, and its site."""
    from videopath.core.settings import load_settings
    from videopath.media.synthetic import ENTITIES, render_case

    video = load_settings().home / "cache" / f"demo-{_ENTITY.replace(' ', '-')}-{_SEED}.mp4"
    if not video.exists():
        render_case(video, _ENTITY, _SEED)
    return video, ENTITIES[_ENTITY]
