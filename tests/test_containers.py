"""What the Dockerfiles and the compose file name exists, and nobody but this machine reaches it.

The images are not built here: Docker's daemon is not part of a test machine.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from videopath.app.cli.main import app
from videopath.core.database_address import checked_address
from videopath.core.settings import Settings

_ROOT = Path(__file__).resolve().parents[1]
_FILES = ("Dockerfile", "Dockerfile.cuda")
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_WEIGHTS = {
    "model/nano/model.safetensors",
    "knowledge/voting/tissue/efficientnet-lite0.safetensors",
    "knowledge/voting/tissue/tower-nano.safetensors",
}
"""The bundled model, and the small networks of the starter's vote."""

Line = tuple[str, str]


def _lines(name: str) -> list[Line]:
    """The instructions of a Dockerfile with their arguments."""
    text = "\n".join(
        line for line in (_ROOT / name).read_text().splitlines() if not line.lstrip().startswith("#")
    )
    joined = re.sub(r"\\\n\s*", " ", text)
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(instruction.upper(), rest) for instruction, rest in pairs]


def _arguments(name: str, instruction: str) -> list[str]:
    return [rest for found, rest in _lines(name) if found == instruction]


def _copied(name: str) -> list[str]:
    """The sources of this project that a Dockerfile copies."""
    words = [shlex.split(rest) for rest in _arguments(name, "COPY") if not rest.startswith("--from")]
    return [source.rstrip("/") for line in words for source in line[:-1]]


def _parse(arguments: list[str]) -> dict[str, Any]:
    """Return the parameters that ``videopath`` reads from a command line; raises if it rejects them."""
    group: Any = get_command(app)
    with group.make_context("videopath", list(arguments)) as context:
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        with command.make_context(name, rest, parent=context) as own:
            return {"": name, **own.params}


@pytest.fixture(autouse=True)
def _no_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOPATH_LOG_JSON", raising=False)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((_ROOT / "compose.yaml").read_text())


@pytest.mark.parametrize("name", _FILES)
def test_what_is_copied_exists_and_reaches_the_builder(name: str) -> None:
    copied = _copied(name)
    assert [source for source in copied if not (_ROOT / source).exists()] == []
    ignored = [
        line for line in (_ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    ]
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)


@pytest.mark.parametrize("name", _FILES)
def test_the_whole_package_is_copied(name: str) -> None:
    rooms = {link.name for link in (_ROOT / "src/videopath").iterdir() if link.is_symlink()}
    needed = {
        *rooms,
        "src",
        "pyproject.toml",
        _PROJECT["project"]["readme"],
        *_PROJECT["project"]["license-files"],
    }
    assert needed <= set(_copied(name))


@pytest.mark.parametrize("name", _FILES)
def test_no_weights_are_inside_but_the_bundled_ones(name: str) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "--", *_copied(name)], cwd=_ROOT, capture_output=True, text=True
    ).stdout.split("\n")
    if not any(tracked):
        pytest.skip("this is not a clone")
    weights = {
        path for path in tracked if path.endswith((".safetensors", ".bin", ".pt", ".pth", ".onnx", ".gguf"))
    }
    assert weights == _WEIGHTS
    steps = " ".join(_arguments(name, "RUN") + _arguments(name, "ADD"))
    assert not re.search(r"curl|wget|hf download|huggingface|snapshot", steps)


@pytest.mark.parametrize("name", _FILES)
def test_the_extras_exist(name: str) -> None:
    (extras,) = (rest.split("=")[1] for rest in _arguments(name, "ARG") if rest.startswith("EXTRAS="))
    assert set(extras.split(",")) <= set(_PROJECT["project"]["optional-dependencies"])
    assert {"postgres", "metrics", "telemetry"} <= set(extras.split(","))
    assert '".[$EXTRAS]"' in " ".join(_arguments(name, "RUN"))


@pytest.mark.parametrize("name", _FILES)
def test_it_runs_as_a_user_without_rights_and_is_watched(name: str) -> None:
    lines = _lines(name)
    user, group = next(rest for found, rest in reversed(lines) if found == "USER").split(":")
    assert int(user) > 0 < int(group)
    assert [found for found, _ in lines].index("USER") < [found for found, _ in lines].index("ENTRYPOINT")
    assert f"--uid {user}" in " ".join(_arguments(name, "RUN"))
    (health,) = _arguments(name, "HEALTHCHECK")
    command = json.loads(health[health.index("[") :])
    ast.parse(command[-1])
    (port,) = _arguments(name, "EXPOSE")
    assert f"http://127.0.0.1:{port}/_stcore/health" in command[-1]


@pytest.mark.parametrize("name", _FILES)
def test_the_command_is_one_of_ours(name: str) -> None:
    (entry,), (command,) = _arguments(name, "ENTRYPOINT"), _arguments(name, "CMD")
    assert json.loads(entry) == ["videopath"]
    read = _parse(json.loads(command))
    assert (read[""], read["host"], str(read["port"])) == ("app", "0.0.0.0", _arguments(name, "EXPOSE")[0])


@pytest.mark.parametrize("name", _FILES)
def test_its_variables_are_settings(name: str) -> None:
    named = re.findall(r"VIDEOPATH_(\w+)=", " ".join(_arguments(name, "ENV")))
    assert {"HOME", "FOLDERS"} <= set(named)
    assert {one.lower() for one in named} <= set(Settings.model_fields)


def test_the_bases_are_named() -> None:
    assert {rest.split()[0] for rest in _arguments("Dockerfile", "FROM")} == {"python:3.11-slim"}
    (cuda,) = _arguments("Dockerfile.cuda", "FROM")
    assert re.fullmatch(r"nvidia/cuda:\d+\.\d+\.\d+-(base|runtime)-ubuntu\d\d\.\d\d", cuda)


def test_the_services_run_commands_of_ours(compose: dict[str, Any]) -> None:
    read = {
        name: _parse(service["command"])
        for name, service in compose["services"].items()
        if "command" in service
    }
    assert {name: one[""] for name, one in read.items()} == {"app": "app", "worker": "worker"}
    assert read["app"]["no_worker"]
    assert compose["services"]["worker"]["deploy"]["replicas"] == 2
    assert "app" not in compose["services"]["worker"].get("depends_on", {})
    for name in ("app", "worker"):
        service = compose["services"][name]
        assert (_ROOT / service["build"]["dockerfile"]).is_file()
        variables = {
            one.removeprefix("VIDEOPATH_").lower() for one in service["environment"] if "VIDEOPATH_" in one
        }
        assert variables <= set(Settings.model_fields)
        assert checked_address(service["environment"]["VIDEOPATH_DATABASE"])
        assert service["depends_on"]["database"]["condition"] == "service_healthy"
    worker = compose["services"]["worker"]
    assert f":{read['worker']['metrics_port']}/metrics" in worker["healthcheck"]["test"][-1]
    ast.parse(worker["healthcheck"]["test"][-1])


def test_only_this_machine_reaches_it(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
    app_ = _parse(compose["services"]["app"]["command"])
    assert {port.rsplit(":", 1)[1] for port in published} == {str(app_["port"]), str(app_["metrics_port"])}
    assert not any(
        "network_mode" in service or "privileged" in service for service in compose["services"].values()
    )


def test_the_password_has_no_default(compose: dict[str, Any]) -> None:
    text = (_ROOT / "compose.yaml").read_text()
    database, worker = compose["services"]["database"], compose["services"]["worker"]
    for value in (database["environment"]["POSTGRES_PASSWORD"], worker["environment"]["PGPASSWORD"]):
        assert re.fullmatch(r"\$\{POSTGRES_PASSWORD:\?[^}]+\}", value)
    assert "POSTGRES_HOST_AUTH_METHOD" not in text
    assert "pg_isready" in database["healthcheck"]["test"][-1]
    named = {
        v.split(":")[0] for s in compose["services"].values() for v in s["volumes"] if v[0] not in "./$~"
    }
    assert named == set(compose["volumes"])


def test_a_wrong_command_would_be_noticed() -> None:
    with pytest.raises(Exception, match="No such option"):
        _parse(["worker", "--no-such-option"])
    with pytest.raises(Exception, match="No such command"):
        _parse(["work"])
