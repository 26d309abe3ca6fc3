"""Fine-tune nano on conversations and measure it before and after: python examples/fine_tune_and_evaluate.py

The pictures are drawn slides, and the answers are words that nano does not know: "regular glands", "crowded glands".
The script writes conversations and a recipe, and calls the commands that you would type. It takes about two minutes on
two CPU cores and needs the extra ``benchmark``. Eight slides are measured: enough to show that the steps work, and no more.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from videopath.media.synthetic import render_slide

WORDS = {"benign colon tissue": "regular glands", "colon adenocarcinoma": "crowded glands"}
ASKED = {"from": "human", "value": "<image>\nWhat is the best diagnosis for this colon tissue?"}
RECIPE = """
kind: transfer
name: fine-tuned
start: {checkpoint: nano}
huggingface: false
stages:
  - {name: images, data: train.json, trains: [projector, decoder], learning_rate: 5.0e-4, batch: 8, steps: 25, workers: 0}
"""


def draw(conversations: Path, seeds: range) -> None:
    """Draw slides and write a conversation about each; ``video_name`` and ``diagnosis`` are for the measurement."""
    written = []
    for (entity, word), seed in ((item, seed) for item in WORDS.items() for seed in seeds):
        file, turns = f"{word} {seed}.png", [ASKED, {"from": "gpt", "value": f"Diagnosis: {word}"}]
        Image.fromarray(render_slide(entity, seed, 224, 224)).save(conversations.parent / file)
        written.append({"image": file, "video_name": file, "diagnosis": word, "conversations": turns})
    conversations.write_text(json.dumps(written))


def videopath(*arguments: str | Path) -> str:
    """Run a command of VideoPath and return what it prints."""
    print("videopath", *arguments, flush=True)
    command = [sys.executable, "-m", "videopath.app.cli", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    draw(folder / "train.json", range(40))
    draw(folder / "test.json", range(900, 904))
    (folder / "recipe.yaml").write_text(RECIPE)
    print(videopath("dataset", "check", folder / "train.json", "--depth", "frames", "--model", "nano"))
    videopath("train", "--recipe", folder / "recipe.yaml", "--data", folder, "--out", folder / "run")
    for what, model in {"before": "nano", "after": folder / "run/images/original"}.items():
        options = ("--system", "model", "--model", model, "--out", folder / what, "--no-html", "--json")
        (system,) = json.loads(videopath("evaluate", folder / "test.json", *options))["systems"]
        print(f"Share of right answers {what} fine-tuning: {system['figures']['accuracy']['value']:.2f}")
