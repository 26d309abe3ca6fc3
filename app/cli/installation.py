"""Checks of the installation, for ``videopath doctor`` and the page About.

Each check returns a sentence. If a check fails with an error, the error is its result.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from videopath.app.cli.telemetry import USAGE_STATS, shares_usage_stats
from videopath.core.errors import VideoPathError
from videopath.core.files import sha256_file
from videopath.core.installing import install_command, package_command
from videopath.core.settings import load_settings

_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "sentence-transformers",
    "faiss-cpu",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "sqlalchemy",
    "alembic",
    "langchain-core",
    "av",
    "opencv-python-headless",
    "streamlit",
)
_EXTRAS = {
    "postgres": ("psycopg", "A case library in PostgreSQL"),
    "ray": ("ray", "Batches on a cluster"),
    "mcp": ("mcp", "The server for other people's agents"),
    "telemetry": ("opentelemetry-sdk", "OpenTelemetry spans"),
    "metrics": ("prometheus-client", "Figures for Prometheus"),
}
_SUMS = "sha256.txt"  # hashes of all files of the bundled model, in the format of sha256sum
_ENOUGH_SPACE = 2 * 1024**3  # bytes, for reports with frames and a knowledge base; hub weights need more


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    ok: bool
    """False if VideoPath cannot work without it, or if the settings or the environment ask for it and it fails."""
    found: str
    advice: str = ""
    """What to do about it; with ``ok`` a hint."""


def check_installation() -> list[Check]:
    """Run all checks; takes seconds, because the embedder is loaded."""
    return [result for check in _CHECKS for result in _run(check)]


def _run(check: Callable[[], list[Check]]) -> list[Check]:
    """Run one check; an error of VideoPath, a library or the system becomes its result."""
    name = check.__name__.strip("_").replace("_", " ")
    try:
        return check()
    except (VideoPathError, ImportError, OSError, RuntimeError) as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        return [Check(name, False, first_line, _reinstall())]


def _reinstall() -> str:
    return f"Install VideoPath again: {install_command('', '--force-reinstall', '--no-deps')}"


def _python() -> list[Check]:
    version = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    ok = sys.version_info >= (3, 11)
    return [Check("python", ok, version, "" if ok else "Use Python 3.11 or newer.")]


def _packages() -> list[Check]:
    return [_package(name) for name in ("videopath-agent", *_PACKAGES)]


def _package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", package_command(name))


def _telemetry() -> list[Check]:
    """Usage statistics that libraries send."""
    from huggingface_hub.constants import HF_HUB_DISABLE_TELEMETRY

    libraries = {
        "huggingface_hub": ("HF_HUB_DISABLE_TELEMETRY", not HF_HUB_DISABLE_TELEMETRY),
        "streamlit": (USAGE_STATS, shares_usage_stats()),
    }
    names = [name for name, (_, shared) in libraries.items() if shared]
    if not names:
        return [Check("telemetry", True, "off")]
    advice = f"Unset {', '.join(libraries[name][0] for name in names)}: VideoPath then turns it off."
    state = f"{' and '.join(names)}: on, as set in the environment"
    return [Check("telemetry", True, state, advice)]


def _log() -> list[Check]:
    settings = load_settings()
    if settings.log_level is None:
        return [Check("log", True, "off", "Set VIDEOPATH_LOG_LEVEL, or give --log-json.")]
    form = "JSON" if settings.log_json else "text"
    return [Check("log", True, f"from level {settings.log_level} on, as {form}")]


def _spans() -> list[Check]:
    """OpenTelemetry spans: whether the endpoint that the environment names accepts them."""
    from videopath.core.telemetry import ENDPOINTS, can_be_sent, endpoint, why_no_spans

    address = endpoint()
    if address is None:
        return [
            Check("spans", True, f"off: {ENDPOINTS[1]} names no endpoint, or the environment turns spans off")
        ]
    if reason := why_no_spans():
        return [Check("spans", False, reason, f"Correct that, or unset {' and '.join(ENDPOINTS)}.")]
    if not can_be_sent():
        advice = f"Start the collector, or correct {' or '.join(ENDPOINTS)} and OTEL_EXPORTER_OTLP_HEADERS."
        return [Check("spans", False, f"{address} does not accept them", advice)]
    return [
        Check(
            "spans", True, f"sent to {address}: ids, names, devices and seconds of cases leave this process"
        )
    ]


def _extras() -> list[Check]:
    """Packages for many cases, many machines and operation."""
    return [_extra(extra, package, purpose) for extra, (package, purpose) in _EXTRAS.items()]


def _extra(extra: str, package: str, purpose: str) -> Check:
    name = f"extra {extra}"
    try:
        return Check(name, True, f"{package} {importlib.metadata.version(package)}")
    except importlib.metadata.PackageNotFoundError:
        return Check(name, True, "not installed", f"{purpose}: {install_command(extra)}")


def _visitors() -> list[Check]:
    folders = load_settings().folders
    permission = (
        "any path of this machine" if folders is None else f"only paths in {', '.join(map(str, folders))}"
    )
    return [Check("visitors of a server may name", True, permission)]


def _tracing() -> list[Check]:
    from langsmith.utils import tracing_is_enabled

    enabled, allowed = bool(tracing_is_enabled()), load_settings().tracing
    if enabled and allowed:
        state = "LangSmith is on and allowed: texts of cases leave this machine"
        return [Check("tracing", True, state, "Unset VIDEOPATH_TRACING to keep cases on this machine.")]
    state = "LANGSMITH_TRACING is set but not allowed: cases stay on this machine" if enabled else "off"
    return [Check("tracing", True, state)]


def _device() -> list[Check]:
    from videopath.model.device import choose_device

    settings = load_settings()
    choice = choose_device(settings.device, settings.dtype)
    return [Check("device", True, f"{choice.device}, {choice.dtype}: {choice.reason}")]


def _weights() -> list[Check]:
    folder = Path(str(resources.files("videopath.model.nano")))
    sums = folder / _SUMS
    if not sums.is_file():
        return [Check("nano weights", False, f"{folder} has no {_SUMS}", _reinstall())]
    expected = {name: digest for digest, name in map(str.split, sums.read_text().splitlines())}
    problems = [name for name, digest in expected.items() if not _is_intact(folder / name, digest)]
    if problems:
        return [Check("nano weights", False, f"missing or damaged: {', '.join(problems)}", _reinstall())]
    size = sum((folder / name).stat().st_size for name in expected)
    return [Check("nano weights", True, f"intact, {size / 1e6:.1f} MB")]


def _is_intact(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_file(path) == digest


def _knowledge() -> list[Check]:
    from videopath.knowledge import KnowledgeBase

    starter = KnowledgeBase.starter()
    problems = starter.verify()
    state = "; ".join(problems) or f"intact, {len(starter)} records"
    return [Check("starter knowledge", not problems, state, _reinstall() if problems else "")]


def _embedder() -> list[Check]:
    from videopath.knowledge import DEFAULT_EMBEDDER, Embedder

    vector = Embedder(DEFAULT_EMBEDDER).encode(["colon adenocarcinoma"])
    return [Check("embedder", True, f"{DEFAULT_EMBEDDER}, {vector.shape[1]} dimensions")]


def _decoders() -> list[Check]:
    if importlib.util.find_spec("decord"):
        return [Check("decord", True, importlib.metadata.version("decord"))]
    hint = f"On x86-64 Linux and Windows: {package_command('decord')}"
    return [Check("decord", True, "not installed: PyAV reads every video", hint)]


def _other_families() -> list[Check]:
    """Packages that models of other families than LLaVA-Qwen may need."""
    if importlib.util.find_spec("torchvision"):
        return [Check("torchvision", True, importlib.metadata.version("torchvision"))]
    hint = f"Some model families, such as Llama 4, Molmo 2 and LFM2-VL, need it: {package_command('torchvision')}"
    return [Check("torchvision", True, "not installed: pictures are prepared by Pillow", hint)]


def _home() -> list[Check]:
    home = load_settings().home
    existing = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        problem = f"{home} cannot be written: {error.strerror or error}"
        return [Check("home folder", False, problem, "Set VIDEOPATH_HOME to a folder that you can write to.")]
    free = shutil.disk_usage(existing).free
    enough = free >= _ENOUGH_SPACE
    advice = "" if enough else "Free some space, or set VIDEOPATH_HOME to a folder on another disk."
    return [
        Check("home folder", True, f"{home} is writable"),
        Check("disk space", enough, f"{free / 1024**3:.1f} GiB free", advice),
    ]


def _case_library() -> list[Check]:
    from videopath.agent.cases.library import load_case_library

    try:
        summary = load_case_library(load_settings().home).store.summary()
    except VideoPathError as error:
        return [
            Check(
                "case library", False, str(error), "See docs/how-to/postgres.md, or unset VIDEOPATH_DATABASE."
            )
        ]
    return [Check("case library", True, summary)]


def _hub_cache() -> list[Check]:
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    cache = Path(HF_HUB_CACHE)
    models = (
        sorted(folder.name[8:].replace("--", "/") for folder in cache.glob("models--*"))
        if cache.is_dir()
        else []
    )
    contents = f"{cache}: {', '.join(models) or 'empty'}" + (" (offline)" if HF_HUB_OFFLINE else "")
    hint = (
        ""
        if any("ViDRiP" in name for name in models)
        else (
            "Needed only for the original 7B weights, downloaded on first use: --model trinhvg/ViDRiP_LLaVA_video"
        )
    )
    return [Check("hub cache", True, contents, hint)]


_CHECKS: tuple[Callable[[], list[Check]], ...] = (
    _python,
    _packages,
    _device,
    _tracing,
    _telemetry,
    _spans,
    _log,
    _visitors,
    _weights,
    _knowledge,
    _embedder,
    _decoders,
    _other_families,
    _home,
    _case_library,
    _extras,
    _hub_cache,
)
