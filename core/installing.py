"""How parts of VideoPath that are missing here are installed: a command that works however VideoPath itself was installed."""

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
    """The command line that installs VideoPath into this Python, with the dependencies of an extra if one is named.

    It names where this installation came from: a clone, another address, or, if nothing is recorded, the package's name.
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
    """The command line that installs another package into this Python."""
    return " ".join([_pip(), *options, shlex.quote(package)])


def _pip() -> str:
    return f"{shlex.quote(sys.executable or 'python')} -m pip install"


def _source(extra: str) -> str:
    wanted = f"[{extra}]" if extra else ""
    found = metadata.distributions(
        name=NAME
    )  # in a clone also what its build left there, which records no origin
    recorded = next(filter(None, (one.read_text("direct_url.json") for one in found)), "{}")  # PEP 610
    origin = json.loads(recorded)
    address = str(origin.get("url", ""))
    if address.startswith("file:") and "dir_info" in origin:
        folder = shlex.quote(url2pathname(urlsplit(address).path) + wanted)
        return f"-e {folder}" if origin["dir_info"].get("editable") else folder
    if address:
        scheme = f"{origin['vcs_info']['vcs']}+" if "vcs_info" in origin else ""
        return shlex.quote(f"{NAME}{wanted} @ {scheme}{address}")
    return shlex.quote(NAME + wanted)
