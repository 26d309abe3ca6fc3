"""What the transfer in stages is worth: python benchmarks/ablation.py --lessons DIR --start CHECKPOINT --out DIR [--jobs N]

Trains nano by the recipe nano-transfer with stages left out, several seeds each; stages with the same past are trained once:

    0+3        captions, videos
    0+1+3      captions, images, videos
    0+1+2+3    captions, images, clips, videos
    + time     the same, with attention between frames in the stages that see several

Each leaves its checkpoint below OUT/<schedule>/<seed>. The decoder's reading (stage words) is one for all, as the published model's
decoder is. A stopped run goes on. Then, for the figures of the model card, with DATA holding manifest.csv and its tiles:

    python benchmarks/ablation.py --measure --data DATA --out DIR

asks each of them for the diagnosis of every held-out clip, its site given, with a description of the measured attributes alone: the
diagnosis of the site to which it gives the highest probability.
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
_SEE_SEVERAL = ("clips", "videos")
_HEADS = 4
_BUNDLED = "the bundled nano"
_ANSWERS = "answers-{}.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lessons", type=Path, help="what `videopath dataset lessons` wrote")
    parser.add_argument("--start", help="the checkpoint of `videopath train --recipe nano-start`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
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
            """Train a schedule as far as a stage; the folder of its stages."""
            folder = out / schedule.replace(" ", "") / str(seed)
            pool.submit(_train, schedule, seed, upto, lessons, start, folder, list(changes)).result()
            return folder

        def one_seed(seed: int) -> None:
            whole = "0+1+2+3"
            trunk = _shared(read, out / whole / str(seed), ("words",))
            stages(whole, seed, "projector")
            with ThreadPoolExecutor(3) as branches:
                short = _shared(trunk, out / "0+3" / str(seed), SCHEDULES["0+3"][:-1])
                waiting = [branches.submit(stages, "0+3", seed, "videos")]
                stages(whole, seed, "images")
                for schedule in ("0+1+3", TIMED):
                    _shared(trunk, out / schedule.replace(" ", "") / str(seed), SCHEDULES[whole][:3])
                    waiting.append(branches.submit(stages, schedule, seed, "videos"))
                stages(whole, seed, "videos")
                for branch in waiting:
                    branch.result()
            assert short.is_dir()

        read = stages("0+3", -1, "words")
        with ThreadPoolExecutor(len(seeds)) as every:
            list(every.map(one_seed, seeds))


def _shared(source: Path, target: Path, stages: Sequence[str]) -> Path:
    """Give a schedule the stages that another one has trained already."""
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
    """In a process of its own."""
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
        if schedule == TIMED and stage["name"] in _SEE_SEVERAL:
            stage["rules"]["temporal_heads"] = _HEADS
            stage["trains"] = [*stage["trains"], "temporal"]
    Transfer(
        TransferRecipe.model_validate(content),
        lessons,
        folder,
        lambda sentence: print(f"{schedule}, seed {seed}: {sentence}", flush=True),
    ).run()


def measure(out: Path, data: Path, per_class: int, jobs: int) -> None:
    """Ask every checkpoint below ``out``, and the bundled one; answers are kept, and not asked again."""
    from videopath.evaluation.tiles.clips import held_out

    samples = held_out(data, "test", per_class)
    places = [
        (schedule, str(folder), folder.parents[1] / _ANSWERS.format(len(samples)))
        for schedule in SCHEDULES
        for folder in sorted((out / schedule.replace(" ", "")).glob("*/videos/original"))
    ]
    places.append((_BUNDLED, "nano", out / f"{_BUNDLED.replace(' ', '-')}-{_ANSWERS.format(len(samples))}"))
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        asked = [pool.submit(_kept_answers, checkpoint, kept, samples) for _, checkpoint, kept in places]
        found = [answers.result() for answers in asked]
    tables: dict[str, list[list[dict[str, Any]]]] = {}
    for (schedule, _, _), answers in zip(places, found, strict=True):
        tables.setdefault(schedule, []).append(answers)
    for line in _lines(tables):
        print(line)


def _kept_answers(checkpoint: str, kept: Path, samples: Sequence[Any]) -> list[dict[str, Any]]:
    if not kept.exists():
        kept.write_text(json.dumps(_answers(checkpoint, samples), indent=1), encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
    return found


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
    found = []
    for sample in track(samples, description=checkpoint):
        with tempfile.TemporaryDirectory() as folder:
            clip = open_clip(write_clip(sample, Path(folder)), frames=FRAMES)
        asked = diagnose_question(
            sample.site, describe_attributes(measured(clip.frames), np.random.default_rng(0))
        )
        with engine.open(clip) as session:
            texts = [f" {label}\n" for label in labels[sample.site]]
            scores = session.score(asked, texts, answer_start=DIAGNOSIS_START, reduce="sum")
        said = labels[sample.site][int(np.argmax(scores))]
        found.append({"group": sample.group, "label": sample.label, "right": said == sample.diagnosis})
    return found


def _lines(tables: dict[str, list[list[dict[str, Any]]]]) -> list[str]:
    """Each schedule's accuracy over clips and over classes, its seeds, and how much more it is than the one before."""
    import numpy as np

    from videopath.evaluation.stats.estimates import Estimate

    lines = [
        "| schedule | accuracy (95% interval) | mean over classes | each seed | more than the row before |"
    ]
    lines.append("|---|---|---|---|---|")
    before: Any = None
    for schedule, seeds in tables.items():
        right = np.array([[float(answer["right"]) for answer in answers] for answers in seeds])
        groups = [answer["group"] for answer in seeds[0]]
        classes = np.array([answer["label"] for answer in seeds[0]])
        mean = np.mean([right[:, classes == name].mean() for name in np.unique(classes)])
        figure = Estimate.of(right.mean(axis=0).tolist(), groups)
        more = (
            "–"
            if before is None
            else str(Estimate.of((right.mean(axis=0) - before).tolist(), groups, least=-1.0))
        )
        each = ", ".join(f"{value:.3f}" for value in right.mean(axis=1))
        lines.append(f"| {schedule} | {figure} | {mean:.3f} | {each} | {more} |")
        before = right.mean(axis=0)
    return lines


if __name__ == "__main__":
    main()
