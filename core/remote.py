"""Files on a store such as S3, named by an address that fsspec knows: ``s3://bucket/folder/file.mp4``.

Addresses never hold credentials: one with a password or a token is rejected, and errors never quote what a store's
library says. The credentials come from where each library looks for them: variables of the environment, or its files.
"""

from __future__ import annotations

import errno
import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.privacy.paths import screened_name, screened_path

_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://(.*)", re.DOTALL)
_PASSWORD = re.compile(r"[^/@]*:[^@]*@")  # user:password@
_PORT = re.compile(r"[^/@]*:\d+/")
_TOKENS = re.compile(r"[?#][^/]*=")  # ?name=value
_WEB = ("http", "https")
_SERVERS = (
    *_WEB,
    "ftp",
    "sftp",
    "ssh",
    "smb",
    "hdfs",
    "webhdfs",
)  # addresses that begin with a computer's name
_FOLDERS = ("ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "dbfs")  # stores whose folders have to be made
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
_EXTRAS = {"s3fs": "remote"}
_CHUNK = 8 << 20
_LONGEST_NAME = 120  # bytes
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "generation")
"""What stores name a file's content by, the best first."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


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
        if self.protocol not in _SERVERS:
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
    return _ADDRESS.match(text) is not None


def place(text: str | Path | RemotePath) -> Place:
    """Return what a text names: a path of this computer (``file://`` as well), or an address.

    Raises:
        InputError: The address holds a password or token, lies within another one, or names nothing.
    """
    if not isinstance(text, str):
        return text
    found = _ADDRESS.fullmatch(text)
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
        with_port = protocol in _SERVERS and _PORT.match(rest)
        secret = bool(_PASSWORD.match(rest) and not with_port)
    if secret or _TOKENS.search(rest):
        raise InputError(
            f"An address that begins with {protocol}:// holds a password, a token or other parameters, which are never "
            f"stored: leave them out, and give the credentials by the environment."
        )


@contextmanager
def store_errors(one: RemotePath) -> Iterator[None]:
    """Turn whatever a store's library raises into a sentence without credentials.

    Raises:
        InputError: There is no such file or bucket, it is not allowed, or there are no credentials.
        RemoteError: The store could not be reached, or broke off.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        if "Connect" in type(error.__cause__).__name__:  # of a web server
            raise _unreachable(one, type(error.__cause__).__name__) from error
        what = "bucket" if "bucket" in str(error).lower() else "file or folder"
        raise InputError(f"There is no {what} {_root(one) if what == 'bucket' else one.shown}.") from error
    except PermissionError as error:
        raise InputError(f"{one.shown} is not allowed with the present credentials.") from error
    except ImportError as error:
        raise InputError(_missing_package(one.protocol, error)) from error
    except Exception as error:
        kind = type(error).__name__
        if "Credential" in kind or "Token" in kind:
            raise InputError(
                f"There are no valid credentials for {_root(one)}: set them in the environment or in the files of the "
                f"store's library, for S3 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RemoteError(f"The disk is full: there is no room for a copy of {one.shown}.") from error
        if isinstance(error, ValueError | TypeError | NotImplementedError):
            raise InputError(f"{one.shown} cannot be used with {one.protocol}:// ({kind}).") from error
        raise _unreachable(one, kind) from error


def _unreachable(one: RemotePath, kind: str) -> RemoteError:
    return RemoteError(f"{one.shown} cannot be reached ({kind}): check the network and try again.")


def _root(one: RemotePath) -> str:
    return RemotePath(one.protocol, one.key.split("/", 1)[0]).shown


def _missing_package(protocol: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    from videopath.core.installing import install_command, package_command

    package = str(known_implementations.get(protocol, {}).get("class", "")).split(".")[0]
    if package in ("", "fsspec"):
        cause = error if error.name else error.__cause__
        package = getattr(cause, "name", None) or package
    command = (
        install_command(_EXTRAS[package]) if package in _EXTRAS else package_command(package or "fsspec")
    )
    return f"Files on {protocol}:// need the package {package or 'fsspec'}. Install it: {command}"


@contextmanager
def _opened(one: RemotePath) -> Iterator[tuple[Any, str]]:
    """Yield the file system of an address and the path in it; errors become sentences."""
    with store_errors(one):
        import fsspec

        try:
            system, path = fsspec.core.url_to_fs(str(one))
        except ValueError as error:
            if "rotocol" not in str(error):
                raise
            raise InputError(f"{one.protocol}:// is not a kind of address that fsspec knows.") from error
        yield system, path


@dataclass(frozen=True)
class RemoteState:
    """What a store says of a file or folder."""

    folder: bool
    size: int
    version: int | None
    """A number that changes with the content; None if the store does not say when a file was changed."""


def state_of(info: Mapping[str, Any]) -> RemoteState:
    """Return the state of a file from the record of its store."""
    size = info.get("size") or 0
    tag = next((str(info[name]) for name in _TAGS if info.get(name)), None)
    if tag is None:
        tag = next((_moment(info[name]) for name in _TIMES if info.get(name)), None)
    version = None if tag is None else int(sha256_text(f"{size} {tag}")[:15], 16)
    return RemoteState(info.get("type") == "directory", int(size), version)


def _moment(value: Any) -> str:
    """Return a time in one form: some stores give a number in a list of files, and a date for the single file."""
    seconds = value.timestamp() if isinstance(value, datetime) else value
    return f"{seconds:.3f}" if isinstance(seconds, int | float) else str(seconds)


def remote_state(one: RemotePath) -> RemoteState:
    """Return what the store says of a file or folder now; raises ``InputError`` if there is none."""
    with _opened(one) as (system, path):
        system.invalidate_cache()
        return state_of(system.info(path))


def remote_exists(one: RemotePath) -> bool:
    """Return whether there is such a file or folder."""
    with _opened(one) as (system, path):
        system.invalidate_cache()
        return bool(system.exists(path))


def remote_entries(folder: RemotePath) -> dict[str, RemoteState]:
    """Return the names and states of what lies in a folder; empty if there is no such folder."""
    with _opened(folder) as (system, path):
        system.invalidate_cache()
        try:
            entries = system.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        return {entry["name"].rstrip("/").rsplit("/", 1)[-1]: state_of(entry) for entry in entries}


def remote_files(folder: RemotePath) -> list[RemotePath]:
    """Return all files below a folder."""
    with _opened(folder) as (system, path):
        system.invalidate_cache()
        return [_named(folder, system, name) for name in system.find(path)]


def remote_glob(pattern: RemotePath) -> list[RemotePath]:
    """Return the files and folders that match a pattern."""
    with _opened(pattern) as (system, path):
        system.invalidate_cache()
        return [_named(pattern, system, name) for name in system.glob(path)]


def _named(like: RemotePath, system: Any, name: str) -> RemotePath:
    """Return the path of a name that a file system gave."""
    if like.protocol in _SERVERS and not is_address(name):
        return RemotePath(like.protocol, f"{like.key.split('/', 1)[0]}/{name.strip('/')}")
    address = _ADDRESS.fullmatch(name)
    return RemotePath(like.protocol, (address[2] if address else name).strip("/"))


def remote_seconds(one: RemotePath) -> float | None:
    """Return when a file was written, in seconds by the store's clock; None if the store does not say it."""
    with _opened(one) as (system, path):
        system.invalidate_cache()
        info = system.info(path)
        times = (info[name] for name in _TIMES if info.get(name))
        seconds = (time.timestamp() if isinstance(time, datetime) else time for time in times)
        return next((float(one) for one in seconds if isinstance(one, int | float)), None)


def read_remote(one: RemotePath) -> bytes | None:
    """Return the content of a small file; None if there is none, or no such folder."""
    with _opened(one) as (system, path):
        try:
            return bytes(system.cat_file(path))
        except FileNotFoundError as error:
            if "bucket" in str(error).lower():
                raise
            return None


def read_all(folder: RemotePath, names: list[str]) -> dict[str, bytes]:
    """Return the contents of small files of a folder, read side by side if the store can; one that is gone is left out."""
    if not names:
        return {}
    with _opened(folder) as (system, path):
        paths = {f"{path}/{name}": name for name in names}
        found = system.cat(list(paths), on_error="return")
        gone = {one: data for one, data in found.items() if isinstance(data, Exception)}
        for error in gone.values():
            if not isinstance(error, FileNotFoundError):
                raise error
        return {_last(one): bytes(data) for one, data in found.items() if one not in gone}


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def write_remote(one: RemotePath, data: bytes, *, new: bool = False) -> bool:
    """Write a small file; return False if it has to be ``new`` and exists.

    A store whose library cannot check that while it writes replaces the file: read it again to know who wrote it.
    """
    with _opened(one) as (system, path):
        _make_parent(system, one, path)
        try:
            system.pipe_file(path, data, mode="create" if new else "overwrite")
        except FileExistsError:
            return False
        return True


def upload(file: Path, one: RemotePath) -> None:
    """Copy a local file to a store."""
    with _opened(one) as (system, path):
        _make_parent(system, one, path)
        system.put_file(str(file), path)
        system.invalidate_cache()


def _make_parent(system: Any, one: RemotePath, path: str) -> None:
    if one.protocol in _FOLDERS:
        system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)


def remove_remote(folder: RemotePath, names: list[str]) -> None:
    """Delete files of a folder; one that is gone is left out."""
    with _opened(folder) as (system, path):
        if len(names) > 1:
            names = [name for name in names if name in remote_entries(folder)]
        if names:
            try:
                system.rm([f"{path}/{name}" for name in names])
            except FileNotFoundError:
                return


def remote_sha256(one: RemotePath) -> str:
    """Return the SHA-256 of a remote file, which is read in pieces and not stored."""
    import hashlib

    digest = hashlib.sha256()
    with _opened(one) as (system, path), system.open(path, "rb", block_size=_CHUNK) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def download(one: RemotePath, target: Path) -> None:
    """Copy a remote file to a local one, which appears as a whole or not at all.

    Raises:
        RemoteError: The disk has no room, or the store could not be reached.
    """
    size = remote_state(one).size
    if size > shutil.disk_usage(target.parent).free:
        raise RemoteError(f"The disk is full: there is no room for a copy of {one.shown}.")
    part = target.with_name(f"{target.name}.part")
    try:
        with _opened(one) as (system, path):
            system.get_file(path, str(part))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
