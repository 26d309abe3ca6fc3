"""Install commands for missing optional packages; they match the way in which VideoPath itself was installed."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import metadata
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import url2pathname

from videopath.core.errors import InputError

NAME = "videopath-agent"


def install_command(extra: str = "", *options: str) -> str:
    """Return the command line that installs VideoPath into this Python.

    It names the origin of this installation: a clone, another address, or, if no origin is recorded, the package's name.

    Args:
        extra: Extra whose dependencies are installed as well; empty: none.
        options: Further options of pip.
    """
    return " ".join([_pip(), *options, _source(extra)])


def require(module: str, package: str, extra: str, purpose: str) -> None:
    """Raise ``InputError`` if an optional package is missing, with the command that installs it.

    Args:
        module: Import name of the package.
        package: Name under which it is installed.
        extra: Extra of VideoPath that holds it.
        purpose: What needs it, as the start of a sentence: "The HTML report".
    """
    if find_spec(module) is None:
        raise InputError(f"{purpose} needs the package {package}. Install it: {install_command(extra)}")


def package_command(package: str, *options: str) -> str:
    """Return the command line that installs another package into this Python."""
    return " ".join([_pip(), *options, shlex.quote(package)])


def _pip() -> str:
    return f"{shlex.quote(sys.executable or 'python')} -m pip install"


def _source(extra: str) -> str:
    extras = f"[{extra}]" if extra else ""
    # a clone may hold a second distribution, left by a build, that records no origin
    distributions = metadata.distributions(name=NAME)
    recorded = filter(None, (one.read_text("direct_url.json") for one in distributions))  # PEP 610
    origin = json.loads(next(recorded, "{}"))
    address = str(origin.get("url", ""))
    if address.startswith("file:") and "dir_info" in origin:
        folder = shlex.quote(url2pathname(urlsplit(address).path) + extras)
        return f"-e {folder}" if origin["dir_info"].get("editable") else folder
    if address:
        scheme = f"{origin['vcs_info']['vcs']}+" if "vcs_info" in origin else ""
        return shlex.quote(f"{NAME}{extras} @ {scheme}{address}")
    return shlex.quote(NAME + extras)
