"""What is installed is what is in the folders; layers only look down; the README names what exists."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]
_LAYERS = {
    "core": 0, "media": 1, "model": 2, "knowledge": 2, "tools": 3, "training": 3, "agent": 4, "dataset": 4,
    "evaluation": 5, "app": 6,
}  # fmt: skip
_NAMED_MODULE = re.compile(rf"(videopath\.(?:{'|'.join(_LAYERS)})(?:\.\w+)*)(?::\S*)?$")
"""A text that is the name of a module, perhaps with an attribute or a file behind a colon."""
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_NOT_IMPORTED = {
    "videopath.app.lmms_eval.models",  # tested in an environment that has the harness
    "videopath.agent.cases.storage.migrations.env",  # run by Alembic, never imported
}
_LARGEST_FILE = 24_000_000  # bytes


def _package_folders() -> list[Path]:
    return sorted(
        init.parent.relative_to(_ROOT) for top in _LAYERS for init in (_ROOT / top).rglob("__init__.py")
    )


def _modules() -> Iterator[tuple[str, Path]]:
    """Import name and file of every module of the project."""
    for top in _LAYERS:
        for path in sorted((_ROOT / top).rglob("*.py")):
            parts = path.relative_to(_ROOT).with_suffix("").parts
            yield ".".join(("videopath", *(part for part in parts if part != "__init__"))), path


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """Names that a module imports, with the line, wherever in the file they are imported.

    Texts that name a module count as imports: ``import_module("videopath.x")``, tables of lazy names, entry points.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or ""), node.lineno
            if node.module == "videopath":
                yield from ((f"videopath.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named = _NAMED_MODULE.match(node.value)
            if named:
                yield named[1], node.lineno


def test_every_room_has_its_link() -> None:
    """``src/videopath`` holds a relative link to each folder at the top, and nothing else."""
    links = {
        path.name: path.readlink().as_posix()
        for path in (_ROOT / "src/videopath").iterdir()
        if path.is_symlink()
    }
    assert links == {top: f"../../{top}" for top in _LAYERS}


def test_every_module_lies_in_a_package() -> None:
    assert [name for name, path in _modules() if not (path.parent / "__init__.py").exists()] == []


@pytest.mark.parametrize("top", _LAYERS)
def test_every_package_is_typed(top: str) -> None:
    assert (_ROOT / top / "py.typed").exists()


def test_nothing_imports_upwards() -> None:
    wrong = []
    for name, path in _modules():
        layer = name.split(".")[1]
        for imported, line in _imports(path):
            other = imported.split(".")[1] if imported.startswith("videopath.") else layer
            if other != layer and _LAYERS[other] >= _LAYERS[layer]:
                wrong.append(f"{path.relative_to(_ROOT)}:{line} imports {imported}")
    assert wrong == []


def test_imports_by_name_are_seen(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""Uses videopath.app only in words."""\n'
        'import_module("videopath.app.web")\n'
        '_HOMES = {"Step": "videopath.agent.cases.records", "main": "videopath.app.cli.main:main"}\n'
        '_FILES = ("videopath.json", "videopath.agent is a room")\n'
    )
    names = ["videopath.app.web", "videopath.agent.cases.records", "videopath.app.cli.main"]
    assert sorted(_imports(module)) == sorted(zip(names, (2, 3, 3), strict=True))


def test_imports_are_absolute_and_never_bare() -> None:
    wrong = [
        f"{path.relative_to(_ROOT)}:{line} imports {imported}"
        for path in sorted(_ROOT.glob("*/**/*.py"))
        if path.relative_to(_ROOT).parts[0] in (*_LAYERS, "tests", "benchmarks", "docs")
        for imported, line in _imports(path)
        if imported.startswith(".") or imported.split(".")[0] in _LAYERS
    ]
    assert wrong == []


def test_ruff_refuses_bare_imports(tmp_path: Path) -> None:
    assert set(_PROJECT["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]) == set(_LAYERS)
    bad = tmp_path / "bad.py"
    bad.write_text("from agent import state\n\nprint(state)\n")
    command = [sys.executable, "-m", "ruff", "check", "--config", str(_ROOT / "pyproject.toml"), str(bad)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 1
    assert "TID251" in answer.stdout


def test_every_dependency_is_pinned_within_its_range() -> None:
    """``constraints.txt`` holds the versions that were tested; no range of ``pyproject.toml`` excludes them."""
    from packaging.requirements import Requirement

    lines = (_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.lower().replace("_", "-").split("==") for line in lines if not line.startswith("#"))
    extras = _PROJECT["project"]["optional-dependencies"]
    named = [*_PROJECT["project"]["dependencies"], *(one for extra in extras.values() for one in extra)]
    requirements = [
        one
        for one in map(Requirement, named)
        if one.name not in ("videopath-agent", "bitsandbytes", "setuptools")
    ]
    wrong = [
        str(one) for one in requirements if not one.specifier.contains(pinned.get(one.name.lower(), "0"))
    ]
    assert wrong == []


def test_torch_has_no_upper_bound() -> None:
    from packaging.requirements import Requirement

    torch = next(one for one in map(Requirement, _PROJECT["project"]["dependencies"]) if one.name == "torch")
    assert torch.specifier.contains("2.14.0")
    assert torch.specifier.contains("3.0")


def test_all_public_names_exist() -> None:
    for folder in _package_folders():
        package = importlib.import_module("videopath." + ".".join(folder.parts))
        for name in getattr(package, "__all__", ()):
            assert hasattr(package, name), f"{package.__name__} has no {name}"


def _tracked() -> list[Path]:
    if shutil.which("git") is None or not (_ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
    )
    return [_ROOT / name for name in listed.stdout.split("\0") if name and (_ROOT / name).is_file()]


def test_no_file_is_too_large() -> None:
    assert [path for path in _tracked() if path.stat().st_size > _LARGEST_FILE] == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout's files alone and installed into a folder elsewhere."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in (*_tracked(), *(_ROOT / "src/videopath" / top for top in _LAYERS)):
        copy = folder / "source" / path.relative_to(_ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy, follow_symlinks=False)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(folder),
        str(folder / "source"),
    ]
    subprocess.run(build, check=True)
    wheel = next(folder.glob("*.whl"))
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "there"), str(wheel)], check=True)
    return folder / "there"


@pytest.mark.slow
def test_every_module_of_the_wheel_can_be_imported(installed: Path) -> None:
    names = [name for name, _ in _modules() if not name.endswith("__main__") and name not in _NOT_IMPORTED]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    print(importlib.import_module(name).__file__)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, *names],
        capture_output=True, text=True, cwd=installed.parent, env=_environment(installed),
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert [file for file in answer.stdout.split() if not file.startswith(str(installed))] == []


@pytest.mark.slow
def test_the_wheel_holds_nothing_but_videopath(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"videopath", "bin"}


@pytest.mark.slow
def test_the_wheel_holds_every_data_file(installed: Path) -> None:
    data = [
        path.relative_to(_ROOT)
        for path in _tracked()
        if path.suffix != ".py" and path.relative_to(_ROOT).parts[0] in _LAYERS
    ]
    assert [path for path in data if not (installed / "videopath" / path).is_file()] == []


@pytest.mark.slow
def test_the_skill_is_where_the_installed_command_says(installed: Path) -> None:
    command = [sys.executable, "-m", "videopath.app.cli", "skill"]
    answer = subprocess.run(
        command, capture_output=True, text=True, cwd=installed.parent, env=_environment(installed)
    )
    assert answer.returncode == 0, answer.stderr
    folder = Path(answer.stdout.strip())
    assert folder.is_relative_to(installed)
    assert (folder / "SKILL.md").read_bytes() == (_ROOT / "skills/videopath/SKILL.md").read_bytes()


def _environment(folder: Path) -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(folder)}


def test_help_answers_without_the_heavy_libraries() -> None:
    program = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "sys.argv = ['videopath', '--help']\n"
        "from videopath.app.cli.main import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = {'torch', 'transformers', 'faiss', 'sentence_transformers', 'langgraph', 'langchain_core', 'cv2', 'av',\n"
        "         'decord', 'numpy', 'streamlit', 'peft'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "diagnose" in answer.stdout
    assert answer.stderr.strip() == "[]"
