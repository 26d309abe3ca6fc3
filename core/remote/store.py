"""What is done with files on a store: list, read, write, copy. Errors are sentences that never quote a store's library."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from videopath.core.errors import InputError
from videopath.core.files import sha256_text
from videopath.core.remote.address import ADDRESS, SERVERS, RemoteError, RemotePath, is_address

_FOLDERS = ("ftp", "sftp", "ssh", "smb", "hdfs", "webhdfs", "dbfs")  # stores whose folders have to be made
_EXTRAS = {"s3fs": "remote"}
_CHUNK = 8 << 20
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "generation")
"""What stores name a file's content by, the best first."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "modified", "created")


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
        what = "bucket" if _no_bucket(error) else "file or folder"
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


def _no_bucket(error: OSError) -> bool:
    return "bucket does not exist" in str(error)


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
    if like.protocol in SERVERS and not is_address(name):
        return RemotePath(like.protocol, f"{like.key.split('/', 1)[0]}/{name.strip('/')}")
    address = ADDRESS.fullmatch(name)
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
            if _no_bucket(error):
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
