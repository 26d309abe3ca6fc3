"""A batch on S3, by moto's server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import fsspec
import pytest

from videopath.agent.many.journal import open_folder
from videopath.agent.many.manifest import read_rows
from videopath.core.errors import InputError
from videopath.core.remote import place
from videopath.core.remote.store import remote_state

pytest.importorskip("moto.server")
pytest.importorskip("s3fs")


@pytest.fixture(scope="module")
def s3() -> Iterator[fsspec.AbstractFileSystem]:
    """A file system with an empty bucket ``lab``."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "lab",
            "AWS_SECRET_ACCESS_KEY": "cret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }.items():
            patched.setenv(name, value)
        system = fsspec.filesystem("s3")
        system.clear_instance_cache()
        system = fsspec.filesystem("s3")
        system.mkdir("lab")
        yield system
        system.clear_instance_cache()
    server.stop()


@pytest.mark.slow
def test_no_bucket_and_no_server_are_one_sentence(
    s3: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(InputError, match="There is no bucket s3://none"),
        open_folder(place("s3://none/x")).held(),
    ):
        pass
    with pytest.raises(InputError, match="There is no"):
        list(read_rows(["s3://none/m.csv"]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    s3.clear_instance_cache()
    with pytest.raises(InputError, match="cannot be reached"):
        remote_state(place("s3://lab/in/bad.mp4"))  # type: ignore[arg-type]
    s3.clear_instance_cache()
