"""VideoPath in lmms-eval: model and agent as models of that harness, and tasks; see README.md in this folder.

Only the module ``models`` needs lmms-eval, which loads it through the entry point in ``pyproject.toml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TASKS = Path(__file__).with_name("tasks")
"""The folder for the harness's ``--include_path``."""

_MODELS = "videopath.app.lmms_eval.models"


def manifests() -> list[Any]:
    """Return the manifests that the harness registers: the names of the models and their classes."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [
        ModelManifest("videopath", simple_class_path=f"{_MODELS}.VideoPath"),
        ModelManifest("videopath_agent", simple_class_path=f"{_MODELS}.VideoPathAgent"),
    ]
