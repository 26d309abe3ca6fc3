"""Build a knowledge base of your own cases, measure it, and diagnose with it: python examples/own_knowledge_base.py

The cases are drawn slides: twelve patients of each of two diagnoses, one picture a patient. In practice
``read_records("cases.csv")`` reads your table, and ``videopath knowledge build`` does the same on the command line.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from videopath.agent import DiagnosticAgent
from videopath.knowledge import InstructionRecord, KnowledgeBase, Media
from videopath.media.synthetic import render_case, render_slide
from videopath.tools.frame_encoders.loading import load_frame_encoder
from videopath.tools.frame_encoders.media_viewer import MediaViewer

DESCRIPTIONS = {
    "benign colon tissue": "Regular, round crypts with goblet cells and one row of small basal nuclei.",
    "colon adenocarcinoma": "Crowded, angulated and cribriform glands with stratified dark nuclei and necrosis.",
}


def records(media: Path) -> list[InstructionRecord]:
    """Draw a slide for each patient, and describe it."""
    found = []
    for diagnosis, description in DESCRIPTIONS.items():
        for number in range(12):
            name = f"{diagnosis} {number}"
            Image.fromarray(render_slide(diagnosis, 100 + number, 448, 448)).save(media / f"{name}.png")
            case = {"source": name, "site": "colon", "diagnosis": diagnosis, "description": description}
            pictures = (Media(path=f"{name}.png"),)
            question = "What is the best diagnosis for this tissue?"
            found.append(
                InstructionRecord(id=name, question=question, media=pictures, patient=f"P-{name}", **case)
            )
    return found


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    viewer = MediaViewer(load_frame_encoder("tower:nano"), folder)
    base = KnowledgeBase.build(folder / "my-cases", records(folder), viewer=viewer)
    print(f"{len(base)} records; the vote of the cases is right in {base.measure.accuracy}")
    video = render_case(folder / "case.mp4", entity="colon adenocarcinoma", seed=7)
    with DiagnosticAgent.load("nano", knowledge=base) as agent:
        report = agent.diagnose(video, site="colon", exclude=["P-colon adenocarcinoma 0"])
    print(f"Diagnosis: {report.diagnosis} ({report.status})")
    for voucher in report.vouchers:
        print(f"- {voucher.by}: {'; '.join(voucher.reasons) or 'vouches'}")
    for case in report.similar_cases:
        print(f"  {case.score:.2f} {case.id} ({'evidence' if case.kept else case.why})")
    print(f"Left out by name: {[left.id for left in report.excluded]}")
