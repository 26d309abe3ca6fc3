"""Diagnose a video with the agent, and print each step as it finishes: python examples/agent_in_ten_lines.py

The video is a drawn slide, the model is the bundled VideoPath-nano, and nothing is downloaded.
Put your own video in its place. Research use only.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from videopath.agent import DiagnosticAgent, new_case_id
from videopath.media.synthetic import render_case

with tempfile.TemporaryDirectory() as folder, DiagnosticAgent.load(model="nano") as agent:
    video = render_case(Path(folder) / "case.mp4", entity="colon adenocarcinoma")
    case_id = new_case_id()
    for step in agent.stream(video, site="colon", case_id=case_id):
        print(f"{step.seconds:5.2f} s  {step.name}: {step.summary}")
    report = agent.report(case_id)
    print(f"Diagnosis: {report.diagnosis} (confidence {report.confidence:.2f}, status {report.status})")
    for finding in report.findings:
        where = f"{finding.seconds:.1f} s" if finding.was_seen else "not seen"
        print(f"- {finding.text} [{where}]")
