"""How well recordings are cut: python benchmarks/segments.py DATA [--seeds 100-124] [--lectures DIR] [--work DIR] [--json]

Lectures are composed from the clips and tiles in DATA, from a seed each, by ``tests/fixtures/lectures.py``: other sizes,
constant and variable rates, cards, viewers, heads, desktops, black pauses, cuts, dissolves and fades. Those in ``--lectures``
have files ``*.truth.json`` beside them. A boundary of slide views is right within 0.5 s; intervals are Wilson's, 95%.
Processor time is that of the cutting alone, of all threads.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scipy.stats import binomtest

from videopath.dataset.options import SegmentOptions
from videopath.dataset.segments.cutting import cut

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from fixtures.lectures import Lecture, random_lecture, views_of  # noqa: E402

_WITHIN = 0.5  # seconds
_SHARED_VIEWS = 6  # lectures that are composed from the same views


@dataclass
class Result:
    """What was found in some lectures."""

    true_found: int = 0
    true: int = 0
    found_true: int = 0
    found: int = 0
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    processor: float = 0.0

    def add(self, lecture: Lecture) -> None:
        """Cut a lecture and compare it with its truth."""
        began = time.process_time()
        segments = cut(lecture.path, SegmentOptions(), lambda share: None).segments
        self.processor += time.process_time() - began
        self.seconds += lecture.truth[-1][1]
        cuts = [(segment.start, segment.end, segment.kind) for segment in segments]
        true = [moment for span in lecture.slides for moment in span]
        found = [moment for span in Lecture(lecture.path, cuts).slides for moment in span]
        hits, right = _near(true, found), _near(found, true)
        self.true, self.true_found = self.true + len(true), self.true_found + hits
        self.found, self.found_true = self.found + len(found), self.found_true + right
        if hits < len(true) or right < len(found):
            self.wrong.append(
                f"{lecture.path.name}: {lecture.slides} cut as {Lecture(lecture.path, cuts).slides}"
            )
        for (start, end, kind), style in zip(lecture.truth, lecture.styles, strict=True):
            shown = max(cuts, key=lambda one: min(end, one[1]) - max(start, one[0]))[2]  # noqa: B023
            self.kinds[kind, shown] += 1
            if shown != kind:
                self.wrong.append(f"{lecture.path.name}: {kind} ({style}) at {start:.1f} s taken for {shown}")

    def summary(self) -> dict[str, object]:
        """Return the figures."""
        return {
            "recall": _share(self.true_found, self.true),
            "precision": _share(self.found_true, self.found),
            "kinds": {
                f"{kind} taken for {shown}": count for (kind, shown), count in sorted(self.kinds.items())
            },
            "seconds": round(self.seconds),
            "seconds per processor second": round(self.seconds / max(self.processor, 1e-6), 1),
            "wrong": self.wrong,
        }


def _near(moments: Sequence[float], others: Sequence[float]) -> int:
    return sum(any(abs(moment - other) <= _WITHIN for other in others) for moment in moments)


def _share(count: int, total: int) -> str:
    if not total:
        return "none"
    interval = binomtest(count, total).proportion_ci(method="wilson")
    return f"{count} of {total} ({interval.low:.3f} to {interval.high:.3f})"


def composed(data: Path, seeds: range, work: Path) -> Iterator[Lecture]:
    """Yield lectures, made at the first run and kept in a folder."""
    work.mkdir(parents=True, exist_ok=True)
    views = None
    for seed in seeds:
        path, truth = work / f"{seed}{'.mkv' if seed % 4 == 3 else '.mp4'}", work / f"{seed}.json"
        if not truth.exists():
            if views is None or seed % _SHARED_VIEWS == 0:
                views = views_of(data, seed)
            lecture = random_lecture(path, seed, views)
            truth.write_text(json.dumps([lecture.truth, lecture.styles]))
        parts, styles = json.loads(truth.read_text())
        yield Lecture(path, [(start, end, kind) for start, end, kind in parts], styles)


def given(folder: Path) -> Iterator[Lecture]:
    """Yield the lectures of a folder that have a truth file."""
    for file in sorted(folder.glob("*.truth.json")):
        segments = json.loads(file.read_text())["segments"]
        truth = [(*segment["seconds"], segment["kind"]) for segment in segments]
        yield Lecture(file.with_name(file.name.replace(".truth.json", ".mp4")), truth, [""] * len(truth))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", default="100-124", help="first and last seed")
    parser.add_argument("--lectures", type=Path)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "videopath-lectures")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    first, last = (int(number) for number in asked.seeds.split("-"))
    results = {}
    if asked.lectures:
        results["given"] = Result()
        for lecture in given(asked.lectures):
            results["given"].add(lecture)
    results["composed"] = Result()
    for lecture in composed(asked.data, range(first, last + 1), asked.work):
        results["composed"].add(lecture)
        print(lecture.path.name, results["composed"].true_found, results["composed"].true, file=sys.stderr)
    summaries = {name: result.summary() for name, result in results.items()}
    if asked.json:
        print(json.dumps(summaries, indent=1))
        return
    for name, summary in summaries.items():
        for what, value in summary.items():
            print(f"{name}: {what}: {value}")


if __name__ == "__main__":
    main()
