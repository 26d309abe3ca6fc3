"""``videopath mcp``: the tools and the agent for other people's agents, by the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli import options
from videopath.core.errors import InputError

Folders = Annotated[
    list[Path] | None,
    typer.Option(
        "--folder",
        help="Clients may only open videos in this folder; can be repeated. Default: $VIDEOPATH_FOLDERS; one is needed.",
        show_default=False,
    ),
]
Http = Annotated[
    bool,
    typer.Option("--http", help="Listen on 127.0.0.1 instead of stdin and stdout; clients need a token."),
]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on, with --http.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with the token, with --http. Default: $VIDEOPATH_MCP_TOKEN; else one is made and printed once.",
        show_default=False,
    ),
]


def mcp(
    folder: Folders = None,
    http: Http = False,
    port: Port = 8765,
    token_file: TokenFile = None,
    model: options.Model = None,
    base: options.Base = None,
    second_opinion: options.SecondOpinion = None,
    knowledge: options.Knowledge = None,
    frames: options.Frames = None,
    review: options.Review = None,
    device: options.Device = None,
    dtype: options.Dtype = None,
    accept_licence: options.AcceptLicence = False,
    accept_uncalibrated: options.AcceptUncalibrated = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Serve the tools and the agent to other people's agents by MCP, over stdio or HTTP."""
    from videopath.app.cli.console import quiet_libraries, say
    from videopath.app.cli.running import AgentOptions, chosen_spec, load_agent
    from videopath.app.cli.serving import check_address, check_folders
    from videopath.core.log import show_log
    from videopath.core.settings import load_settings

    _check_installed()
    quiet_libraries(verbose)
    settings = load_settings()
    if folder:
        absolute = tuple(path.expanduser().absolute() for path in folder)
        settings = settings.model_copy(update={"folders": absolute})
    if not settings.folders:
        raise InputError("Name at least one folder whose videos clients may open: --folder FOLDER.")
    check_folders(settings.folders)
    show_log(settings.log_level or "warning")
    if http:
        check_address("127.0.0.1", port)

    from videopath.app.mcp.running import HOST, read_token, serve_http, serve_stdio
    from videopath.app.mcp.service import TissueService

    token, is_new = read_token(token_file) if http else ("", False)
    spec = chosen_spec(model, base, device, dtype, accept_licence)
    agent_options = AgentOptions(spec, knowledge, review, frames, accept_uncalibrated, second_opinion)
    with load_agent(agent_options) as agent:
        service = TissueService(agent, settings)
        if not http:
            serve_stdio(service)
            return
        say(f"MCP server at http://{HOST}:{port}/mcp; Ctrl-C stops it.")
        if is_new:
            say(f"Token of this start: {token}")
        serve_http(service, port, token)


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("mcp") is None:
        raise InputError('The MCP server needs the extra mcp: pip install "videopath-agent[mcp]".')
