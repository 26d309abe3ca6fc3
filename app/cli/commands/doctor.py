"""``videopath doctor``: what is here, what is missing, and what to do about it.

Every check answers with a sentence; a check that cannot be made is a finding, never a traceback.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json as json_text
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from videopath.app.cli import console
from videopath.app.cli.errors import EXIT_FAILED
from videopath.app.cli.telemetry import USAGE_STATS, shares_usage_stats
from videopath.core.errors import VideoPathError
from videopath.core.files import sha256_file
from videopath.core.installing import install_command, package_command
from videopath.core.notice import RESEARCH_USE
from videopath.core.settings import load_settings

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "faiss-cpu",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langchain-core",
    "av",
    "opencv-python-headless",
    "streamlit",
)
_SUMS = "sha256.txt"  # of every file of the bundled model, as sha256sum writes and checks it
_ENOUGH_SPACE = 2 * 1024**3  # bytes: reports with frames, a knowledge base; hub weights need more


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    """False only where VideoPath cannot do its work without it."""
    found: str
    advice: str = ""
    """What to do about it; may also stand beside ``ok`` as a hint."""


def doctor(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say what is here, what is missing and what to do about it; the exit code is 1 when something is missing."""
    console.quiet_libraries(verbose=False)
    checks = all_checks()
    well = all(check.ok for check in checks)
    if json:
        document = {"ok": well, "checks": [asdict(check) for check in checks], "notice": RESEARCH_USE}
        console.emit_json(json_text.dumps(document, indent=2))
    else:
        _show(checks, well)
    if not well:
        raise typer.Exit(EXIT_FAILED)


def all_checks() -> list[Check]:
    """Look at everything; takes seconds, since the embedder is loaded."""
    return [check for look in _LOOKS for check in _looked(look)]


def _looked(look: Callable[[], list[Check]]) -> list[Check]:
    """Run one look; an error that VideoPath or the system states becomes a finding."""
    name = look.__name__.strip("_").replace("_", " ")
    try:
        return look()
    except (VideoPathError, ImportError, OSError, RuntimeError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        return [Check(name, False, first, _again())]


def _again() -> str:
    return f"Install VideoPath again: {install_command('', '--force-reinstall', '--no-deps')}"


def _python() -> list[Check]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    ok = sys.version_info >= (3, 11)
    return [Check("python", ok, found, "" if ok else "Use Python 3.11 or newer.")]


def _packages() -> list[Check]:
    return [_package(name) for name in ("videopath-agent", *_PACKAGES)]


def _package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", package_command(name))


def _telemetry() -> list[Check]:
    """What libraries tell their makers."""
    from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY

    on = {
        "huggingface_hub": ("HF_HUB_DISABLE_TELEMETRY", not HF_HUB_DISABLE_TELEMETRY),
        "streamlit": (USAGE_STATS, shares_usage_stats()),
    }
    names = [name for name, (_, shared) in on.items() if shared]
    if not names:
        return [Check("telemetry", True, "off")]
    advice = f"Unset {', '.join(on[name][0] for name in names)}: VideoPath then turns it off."
    found = f"that of {' and '.join(names)} is on, as the environment says"
    return [Check("telemetry", True, found, advice)]


def _visitors() -> list[Check]:
    folders = load_settings().folders
    found = "any path of this machine" if folders is None else f"paths in {', '.join(map(str, folders))}"
    return [Check("visitors of a server may name", True, found)]


def _tracing() -> list[Check]:
    from langsmith.utils import tracing_is_enabled

    wanted, allowed = bool(tracing_is_enabled()), load_settings().tracing
    if wanted and allowed:
        found = "LangSmith is on and allowed: texts of cases leave this machine"
        return [Check("tracing", True, found, "Unset VIDEOPATH_TRACING to keep cases here.")]
    return [
        Check(
            "tracing",
            True,
            "asked for by LANGSMITH_TRACING, but not allowed: cases stay here" if wanted else "off",
        )
    ]


def _device() -> list[Check]:
    from videopath.model.device import choose_device

    settings = load_settings()
    choice = choose_device(settings.device, settings.dtype)
    return [Check("device", True, f"{choice.device}, {choice.dtype}: {choice.reason}")]


def _weights() -> list[Check]:
    folder = Path(str(resources.files("videopath.model.nano")))
    sums = folder / _SUMS
    if not sums.is_file():
        return [Check("nano weights", False, f"{folder} has no {_SUMS}", _again())]
    expected = {name: digest for digest, name in map(str.split, sums.read_text().splitlines())}
    problems = [name for name, digest in expected.items() if not _is_whole(folder / name, digest)]
    if problems:
        return [Check("nano weights", False, f"missing or damaged: {', '.join(problems)}", _again())]
    size = sum((folder / name).stat().st_size for name in expected)
    return [Check("nano weights", True, f"whole, {size / 1e6:.1f} MB")]


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_file(path) == digest


def _knowledge() -> list[Check]:
    from videopath.knowledge import KnowledgeBase

    starter = KnowledgeBase.starter()
    problems = starter.verify()
    found = "; ".join(problems) or f"whole, {len(starter)} records"
    return [Check("starter knowledge", not problems, found, _again() if problems else "")]


def _embedder() -> list[Check]:
    from videopath.knowledge import DEFAULT_EMBEDDER, Embedder

    vector = Embedder(DEFAULT_EMBEDDER).encode(["colon adenocarcinoma"])
    return [Check("embedder", True, f"{DEFAULT_EMBEDDER}, {vector.shape[1]} dimensions")]


def _decoders() -> list[Check]:
    if importlib.util.find_spec("decord"):
        return [Check("decord", True, importlib.metadata.version("decord"))]
    hint = f"On x86-64 Linux and Windows: {package_command('decord')}"
    return [Check("decord", True, "not installed: PyAV reads every video", hint)]


def _home() -> list[Check]:
    home = load_settings().home
    place = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        found = f"{home} cannot be written: {error.strerror or error}"
        return [Check("home folder", False, found, "Set VIDEOPATH_HOME to a folder of yours.")]
    free = shutil.disk_usage(place).free
    enough = free >= _ENOUGH_SPACE
    advice = "" if enough else "Free some space, or set VIDEOPATH_HOME to a folder on another disk."
    return [
        Check("home folder", True, f"{home} can be written"),
        Check("disk space", enough, f"{free / 1024**3:.1f} GiB free", advice),
    ]


def _hub_cache() -> list[Check]:
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    cache = Path(HF_HUB_CACHE)
    models = (
        sorted(folder.name[8:].replace("--", "/") for folder in cache.glob("models--*"))
        if cache.is_dir()
        else []
    )
    found = f"{cache}: {', '.join(models) or 'empty'}" + (" (offline)" if HF_HUB_OFFLINE else "")
    hint = (
        ""
        if any("ViDRiP" in name for name in models)
        else (
            "Only for the original 7B weights, which are downloaded on first use: --model trinhvg/ViDRiP_LLaVA_video"
        )
    )
    return [Check("hub cache", True, found, hint)]


_LOOKS: tuple[Callable[[], list[Check]], ...] = (
    _python,
    _packages,
    _device,
    _tracing,
    _telemetry,
    _visitors,
    _weights,
    _knowledge,
    _embedder,
    _decoders,
    _home,
    _hub_cache,
)


def _show(checks: list[Check], well: bool) -> None:
    rows = [("ok" if check.ok else "MISSING", check.name, check.found, check.advice) for check in checks]
    out = console.stdout()
    out.print(console.table(("", "what", "found", "what to do"), rows))
    out.print("Everything is here." if well else "Something is missing: see what to do above.")
    out.print(RESEARCH_USE, markup=False)
