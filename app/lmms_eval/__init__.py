"""VideoPath in lmms-eval: the model and the agent as models of that harness, and tasks for them; see README.md beside this.

Of this package only ``models`` needs lmms-eval, which loads it by the entry point in ``pyproject.toml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

TASKS = Path(__file__).with_name("tasks")
"""The folder for the harness's ``--include_path``."""

_MODELS = "videopath.app.lmms_eval.models"


def manifests() -> list[Any]:
    """What the harness registers: the models' names and where their classes are."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [
        ModelManifest("videopath", simple_class_path=f"{_MODELS}.VideoPath"),
        ModelManifest("videopath_agent", simple_class_path=f"{_MODELS}.VideoPathAgent"),
    ]
