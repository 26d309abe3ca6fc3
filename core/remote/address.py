"""Files on a store such as S3, named by an address that fsspec knows: ``s3://bucket/folder/file.mp4``.

Addresses never hold credentials: one with a password or a token is rejected. They come from where each store's library
looks for them: variables of the environment, or its files.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.privacy.paths import screened_name, screened_path

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://(.*)", re.DOTALL)
_PASSWORD = re.compile(r"[^/@]*:[^@]*@")  # user:password@
_PORT = re.compile(r"[^/@]*:\d+/")
_TOKENS = re.compile(r"[?#][^/]*=")  # ?name=value
_WEB = ("http", "https")
SERVERS = (
    *_WEB,
    "ftp",
    "sftp",
    "ssh",
    "smb",
    "hdfs",
    "webhdfs",
)  # addresses that begin with a computer's name
_LOCAL = ("file", "local")
_WRAPPERS = (
    "blockcache",
    "cached",
    "data",
    "dir",
    "filecache",
    "generic",
    "libarchive",
    "reference",
    "simplecache",
    "tar",
    "zip",
)
_LONGEST_NAME = 120  # bytes


class RemoteError(InputError):
    """A store could not be reached, or broke off: another try may help."""


@dataclass(frozen=True, slots=True)
class RemotePath:
    """A file or folder on a store. Make it with :func:`place`, which checks the address."""

    protocol: str
    key: str
    """What follows ``://``, without a slash at its end: the bucket or server, and the path."""

    def __str__(self) -> str:
        return f"{self.protocol}://{self.key}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.key.rsplit("/", 1)[-1]

    @property
    def suffix(self) -> str:
        """The suffix of the name, with its dot."""
        return posixpath.splitext(self.name)[1]

    @property
    def parent(self) -> RemotePath:
        """The folder that holds it; a bucket or server is its own parent."""
        return RemotePath(self.protocol, self.key.rsplit("/", 1)[0])

    @property
    def shown(self) -> str:
        """The address with each part that holds a person's data replaced by its hash."""
        first, *rest = self.key.split("/")
        if self.protocol not in SERVERS:
            first = screened_name(first)
        return f"{self.protocol}://{'/'.join([first, *(self._screened(part) for part in rest)])}"

    @property
    def local_name(self) -> str:
        """A name for a local copy: without a person's data, of bounded length, with the same suffix."""
        name = self._screened(self.name)
        if len(name.encode()) > _LONGEST_NAME or name in ("", ".", "..") or "\\" in name:
            return f"file-{sha256_text(name)[:12]}{self.suffix if len(self.suffix) < 9 else ''}"
        return name

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self.protocol, f"{self.key}/{name}")

    def joined(self, path: str) -> RemotePath:
        """Return a path that is relative to this folder.

        Raises:
            InputError: The path leads out of the bucket or server, or out of its text.
        """
        _refuse_secrets(self.protocol, path)
        first, _, rest = self.key.partition("/")
        steps = [part for part in rest.split("/") if part]
        for part in path.split("/"):
            if part == "..":
                if not steps:
                    raise InputError(f"its path leads out of {RemotePath(self.protocol, first).shown}")
                steps.pop()
            elif part not in ("", "."):
                steps.append(part)
        return RemotePath(self.protocol, "/".join([first, *steps]))

    def is_within(self, folder: RemotePath) -> bool:
        """Return whether it is a folder or lies below it."""
        return self.protocol == folder.protocol and f"{self.key}/".startswith(f"{folder.key}/")

    def _screened(self, part: str) -> str:
        plain = unquote(part) if self.protocol in _WEB else part
        screened = screened_name(plain)
        return part if screened == plain else screened


Place: TypeAlias = Path | RemotePath
"""A file or folder of this computer, or on a store."""


def is_address(text: str) -> bool:
    """Return whether a text begins like ``s3://``."""
    return ADDRESS.match(text) is not None


def place(text: str | Path | RemotePath) -> Place:
    """Return what a text names: a path of this computer (``file://`` as well), or an address.

    Raises:
        InputError: The address holds a password or token, lies within another one, or names nothing.
    """
    if not isinstance(text, str):
        return text
    found = ADDRESS.fullmatch(text)
    if found is None:
        return Path(text)
    protocol, rest = found[1].lower(), found[2]
    if protocol in _LOCAL:
        return Path(rest or "/")
    _refuse_secrets(protocol, rest)
    if "::" in text or protocol in _WRAPPERS:
        raise InputError(
            f"An address within another one, such as {protocol}://, cannot be used: name a file of its own."
        )
    key = rest.rstrip("/").removeprefix("/") if protocol == "memory" else rest.rstrip("/")
    if not key.strip("/"):
        raise InputError(f"The address {protocol}:// names no bucket or folder.")
    return RemotePath(protocol, key)


def screened_place(one: Place) -> str:
    """Return a path or an address with each part that holds a person's data replaced by its hash."""
    return one.shown if isinstance(one, RemotePath) else str(screened_path(one))


def _refuse_secrets(protocol: str, rest: str) -> None:
    if protocol in _WEB:
        secret = "@" in rest.split("/", 1)[0] or "?" in rest or "#" in rest
    else:
        with_port = protocol in SERVERS and _PORT.match(rest)
        secret = bool(_PASSWORD.match(rest) and not with_port)
    if secret or _TOKENS.search(rest):
        raise InputError(
            f"An address that begins with {protocol}:// holds a password, a token or other parameters, which are never "
            f"stored: leave them out, and give the credentials by the environment."
        )
