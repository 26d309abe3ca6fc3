"""Let the agent ask a model of your own: python examples/own_engine.py

An engine answers questions about a clip. ``FunctionEngine`` makes one from a function, so any model will do. This one
looks at the share of dark pixels, so that the example needs no weights. Offer yours in the ``pyproject.toml`` of your
package, and ``videopath diagnose --model dark-share`` finds it by its name:

    [project.entry-points."videopath.engines"]
    dark-share = "my_package:load"
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from videopath.agent import DiagnosticAgent
from videopath.media.clip import Clip
from videopath.media.synthetic import render_case
from videopath.model import EngineSpec, FunctionEngine


def answer(clip: Clip, question: str) -> str:
    """Answer a question about a clip; its frames are uint8 [T, H, W, 3] RGB."""
    dark = float((clip.frames.mean(axis=3) < 128).mean())
    diagnosis = "colon adenocarcinoma" if dark > 0.15 else "benign colon tissue"
    return json.dumps(
        {
            "findings": [{"text": f"Dark pixels cover {dark:.0%} of the field."}],
            "diagnosis": diagnosis,
            "rationale": "Crowded dark nuclei speak for a carcinoma.",
        }
    )


def load(spec: EngineSpec) -> FunctionEngine:
    """Load the engine; ``spec.model`` is what the user named, ``spec.device`` the device that was asked for."""
    return FunctionEngine(answer, name="dark-share", weights_sha256="dark-share 1")


with tempfile.TemporaryDirectory() as temporary:
    video = render_case(Path(temporary) / "case.mp4", "colon adenocarcinoma", seconds=2, size=(320, 240))
    engine = load(EngineSpec("dark-share"))
    with DiagnosticAgent.load(engine, accept_uncalibrated=True, home=Path(temporary) / "home") as agent:
        report = agent.diagnose(video, site="colon")
        print(f"{report.diagnosis} ({report.status}), by {agent.info.name}")
        for step in report.steps:
            print(f"{step.name}: {step.summary}")
