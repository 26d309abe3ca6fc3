"""``videopath app``: the case review in the browser."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli import options
from videopath.core.errors import InputError

Host = Annotated[
    str,
    typer.Option(
        "--host",
        help="Address to listen on. If it is not local, others can reach it: they see all cases and may open any path of "
        "this machine; see --folder.",
    ),
]
Folders = Annotated[
    list[Path] | None,
    typer.Option(
        "--folder",
        help="Visitors may only open files in this folder; can be repeated. Default: $VIDEOPATH_FOLDERS, else any folder.",
        show_default=False,
    ),
]
Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")]
UploadLimit = Annotated[
    int,
    typer.Option("--upload-limit", min=1, help="Largest upload in MB; open larger files by their path."),
]
NoWorker = Annotated[
    bool,
    typer.Option(
        "--no-worker", help="Only queue cases: `videopath worker` works on them, here or on other machines."
    ),
]

_FOLDER_PREFIXES = ("/", "./", "../", "~", ".\\", "..\\")


def web_app(
    host: Host = "127.0.0.1",
    port: Port = 8501,
    folder: Folders = None,
    model: options.Model = None,
    base: options.Base = None,
    knowledge: options.Knowledge = None,
    upload_limit: UploadLimit = 500,
    no_worker: NoWorker = False,
    metrics_port: options.MetricsPort = None,
    metrics_host: options.MetricsHost = "127.0.0.1",
    accept_licence: options.AcceptLicence = False,
    accept_uncalibrated: options.AcceptUncalibrated = False,
    home: options.Home = None,
    verbose: options.Verbose = False,
) -> None:
    """Review cases in the browser: see every step, correct it, sign out."""
    from videopath.app.cli.console import quiet_libraries
    from videopath.app.cli.serving import check_address, check_folders, check_metrics, start_metrics
    from videopath.core.settings import load_settings

    _use(model=model, base=base, knowledge=str(knowledge.absolute()) if knowledge else None)
    if accept_licence:
        _use(accept_licence="1")
    if accept_uncalibrated:
        _use(accept_uncalibrated="1")
    if no_worker:
        _use(worker="0")
    if folder:
        _use(folders=os.pathsep.join(str(path.expanduser().absolute()) for path in folder))
    settings = load_settings()
    check_folders(settings.folders)
    _check_model(settings.model)
    _check_knowledge(settings.knowledge)
    check_address(host, port, other_host=", or an address of this machine with --host")
    check_metrics(metrics_host, metrics_port, taken=port)
    quiet_libraries(verbose)

    from videopath.agent.cases.library import load_case_library
    from videopath.app.web.server import serve

    start_metrics(load_case_library(settings.home), metrics_host, metrics_port)

    serve(host, port, upload_limit, settings.folders)


def _use(**settings: str | None) -> None:
    """Put options into the environment, which the pages and the worker read before the settings file."""
    for name, value in settings.items():
        if value is not None:
            os.environ[f"VIDEOPATH_{name.upper()}"] = value


def _check_model(name: str) -> None:
    """Reject a missing model folder before the server starts; hub ids are checked when they are loaded."""
    folder = Path(name).expanduser()
    is_folder = name.startswith(_FOLDER_PREFIXES) or folder.is_absolute() or "/" not in name
    if name != "nano" and is_folder and not folder.is_dir():
        raise InputError(
            f"There is no model folder {name}; give 'nano', a checkpoint folder or a Hugging Face id."
        )


def _check_knowledge(folder: Path | None) -> None:
    if folder is not None and not folder.expanduser().is_dir():
        raise InputError(
            f"There is no folder {folder}; give a knowledge base, or leave out --knowledge for the starter."
        )
