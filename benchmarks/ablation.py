"""Measure what each stage of the transfer is worth, by leaving stages out.

    python benchmarks/ablation.py --lessons DIR --start CHECKPOINT --out DIR [--jobs N]

trains nano by the recipe nano-transfer with these schedules, several seeds each. Stages with the same stages before them are
trained once:

    0+3        captions, videos
    0+1+3      captions, images, videos
    0+1+2+3    captions, images, clips, videos
    + time     the same, with attention between frames in the stages that see several frames

The checkpoints are in OUT/<schedule>/<seed>. All of them share one stage words, as the published models share one decoder. A stopped
run can be resumed. Then

    python benchmarks/ablation.py --measure --data DATA --out DIR

gives the figures of the model card; DATA holds manifest.csv and its tiles. Each checkpoint diagnoses every held-out clip. It is told the
site and a description of the measured attributes; its answer is the site's diagnosis with the highest probability.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

SCHEDULES: dict[str, tuple[str, ...]] = {
    "0+3": ("words", "projector", "videos"),
    "0+1+3": ("words", "projector", "images", "videos"),
    "0+1+2+3": ("words", "projector", "images", "clips", "videos"),
    "0+1+2+3 + time": ("words", "projector", "images", "clips", "videos"),
}
TIMED = "0+1+2+3 + time"
_STAGES_WITH_CLIPS = ("clips", "videos")
_HEADS = 4
_BUNDLED = "the bundled nano"
_ANSWERS = "answers-{}.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lessons", type=Path, help="the folder that `videopath dataset lessons` wrote")
    parser.add_argument("--start", help="the checkpoint of `videopath train --recipe nano-start`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, default=1, help="processes at the same time")
    parser.add_argument("--set", action="append", default=[], help="change of every stage: steps=20")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--per-class", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.out, arguments.data, arguments.per_class, arguments.jobs)
    else:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        train(arguments.lessons, arguments.start, arguments.out, seeds, arguments.jobs, arguments.set)


def train(
    lessons: Path, start: str, out: Path, seeds: Sequence[int], jobs: int, changes: Sequence[str]
) -> None:
    """Train every schedule with every seed."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:

        def stages(schedule: str, seed: int, upto: str) -> Path:
            """Train a schedule up to a stage; return the folder of its stages."""
            folder = out / schedule.replace(" ", "") / str(seed)
            pool.submit(_train, schedule, seed, upto, lessons, start, folder, list(changes)).result()
            return folder

        def one_seed(seed: int) -> None:
            whole = "0+1+2+3"
            trunk = _copy_stages(words, out / whole / str(seed), ("words",))
            stages(whole, seed, "projector")
            with ThreadPoolExecutor(3) as branches:
                short = _copy_stages(trunk, out / "0+3" / str(seed), SCHEDULES["0+3"][:-1])
                pending = [branches.submit(stages, "0+3", seed, "videos")]
                stages(whole, seed, "images")
                for schedule in ("0+1+3", TIMED):
                    _copy_stages(trunk, out / schedule.replace(" ", "") / str(seed), SCHEDULES[whole][:3])
                    pending.append(branches.submit(stages, schedule, seed, "videos"))
                stages(whole, seed, "videos")
                for branch in pending:
                    branch.result()
            assert short.is_dir()

        words = stages("0+3", -1, "words")
        with ThreadPoolExecutor(len(seeds)) as seed_threads:
            list(seed_threads.map(one_seed, seeds))


def _copy_stages(source: Path, target: Path, stages: Sequence[str]) -> Path:
    """Copy stages that another schedule has trained already; return the target."""
    for stage in stages:
        if not (target / stage).exists():
            part = target / f".{stage}.part"
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(source / stage, part, ignore=shutil.ignore_patterns("checkpoint-*"))
            part.rename(target / stage)
    return target


def _train(
    schedule: str, seed: int, upto: str, lessons: Path, start: str, folder: Path, changes: list[str]
) -> None:
    """Train one schedule; runs in a process of its own."""
    from videopath.training.recipe import TransferRecipe, load_recipe
    from videopath.training.transfer.stages import Transfer

    recipe = load_recipe("nano-transfer", [f"start.checkpoint={start}", f"seed={max(seed, 0)}"])
    assert isinstance(recipe, TransferRecipe)
    names = SCHEDULES[schedule]
    kept = names[: names.index(upto) + 1]
    content: dict[str, Any] = recipe.model_dump(mode="json")
    content["stages"] = [stage for stage in content["stages"] if stage["name"] in kept]
    for stage in content["stages"]:
        stage.update({key: json.loads(value) for key, _, value in (c.partition("=") for c in changes)})
        if schedule == TIMED and stage["name"] in _STAGES_WITH_CLIPS:
            stage["rules"]["temporal_heads"] = _HEADS
            stage["trains"] = [*stage["trains"], "temporal"]
    Transfer(
        TransferRecipe.model_validate(content),
        lessons,
        folder,
        lambda sentence: print(f"{schedule}, seed {seed}: {sentence}", flush=True),
    ).run()


def measure(out: Path, data: Path, per_class: int, jobs: int) -> None:
    """Measure every checkpoint below ``out``, and the bundled one. Answers are kept in files and not computed again."""
    from videopath.evaluation.tiles.clips import held_out

    samples = held_out(data, "test", per_class)
    runs = [
        (schedule, str(folder), folder.parents[1] / _ANSWERS.format(len(samples)))
        for schedule in SCHEDULES
        for folder in sorted((out / schedule.replace(" ", "")).glob("*/videos/original"))
    ]
    runs.append((_BUNDLED, "nano", out / f"{_BUNDLED.replace(' ', '-')}-{_ANSWERS.format(len(samples))}"))
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_kept_answers, checkpoint, file, samples) for _, checkpoint, file in runs]
        results = [future.result() for future in futures]
    tables: dict[str, list[list[dict[str, Any]]]] = {}
    for (schedule, _, _), answers in zip(runs, results, strict=True):
        tables.setdefault(schedule, []).append(answers)
    for line in _lines(tables):
        print(line)


def _kept_answers(checkpoint: str, file: Path, samples: Sequence[Any]) -> list[dict[str, Any]]:
    if not file.exists():
        file.write_text(json.dumps(_answers(checkpoint, samples), indent=1), encoding="utf-8")
    answers: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return answers


def _answers(checkpoint: str, samples: Sequence[Any]) -> list[dict[str, Any]]:
    import numpy as np
    from rich.progress import track

    from videopath.evaluation.tiles.clips import FRAMES, write_clip
    from videopath.media.quality.attributes import measure as measured
    from videopath.model import load_engine, open_clip
    from videopath.model.prompts.questions import DIAGNOSIS_START, diagnose_question
    from videopath.training.data.corpus import diagnoses_by_site
    from videopath.training.scratch.descriptions import describe_attributes

    engine, labels = load_engine(checkpoint), diagnoses_by_site()
    answers = []
    for sample in track(samples, description=checkpoint):
        with tempfile.TemporaryDirectory() as folder:
            clip = open_clip(write_clip(sample, Path(folder)), frames=FRAMES)
        question = diagnose_question(
            sample.site, describe_attributes(measured(clip.frames), np.random.default_rng(0))
        )
        with engine.open(clip) as session:
            texts = [f" {label}\n" for label in labels[sample.site]]
            scores = session.score(question, texts, answer_start=DIAGNOSIS_START, reduce="sum")
        answer = labels[sample.site][int(np.argmax(scores))]
        answers.append({"group": sample.group, "label": sample.label, "right": answer == sample.diagnosis})
    return answers


def _lines(tables: dict[str, list[list[dict[str, Any]]]]) -> list[str]:
    """Return the table: accuracy over clips and classes, accuracy of each seed, difference to the row before."""
    import numpy as np

    from videopath.evaluation.stats.estimates import Estimate

    lines = [
        "| schedule | accuracy (95% interval) | mean over classes | each seed | difference to the row before |"
    ]
    lines.append("|---|---|---|---|---|")
    before: Any = None
    for schedule, seeds in tables.items():
        right = np.array([[float(answer["right"]) for answer in answers] for answers in seeds])
        groups = [answer["group"] for answer in seeds[0]]
        classes = np.array([answer["label"] for answer in seeds[0]])
        mean = np.mean([right[:, classes == name].mean() for name in np.unique(classes)])
        figure = Estimate.of(right.mean(axis=0).tolist(), groups)
        difference = (
            "–"
            if before is None
            else str(Estimate.of((right.mean(axis=0) - before).tolist(), groups, least=-1.0))
        )
        each = ", ".join(f"{value:.3f}" for value in right.mean(axis=1))
        lines.append(f"| {schedule} | {figure} | {mean:.3f} | {each} | {difference} |")
        before = right.mean(axis=0)
    return lines


if __name__ == "__main__":
    main()
