"""What a case costs with a local and with a served model: seconds, requests, bytes sent, tokens that the server reused.

    python benchmarks/engines.py                                               # nano alone
    python benchmarks/engines.py --model openai:http://127.0.0.1:8000/v1#NAME  # beside it a served model, frames go there

Both work on the same drawn case, in one process, with the model loaded before the clock starts. The requests of the second
case count: what a server can do is found out once for each engine, and is shown apart. Frames are sent with every request,
byte for byte the same and first, so a server with a prefix cache reads them once: *reused* is the share of the prompts'
tokens that it says it took from there. The goal is 12 requests for a case.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from videopath.agent import DiagnosticAgent
from videopath.media.synthetic import render_case
from videopath.model import Engine, load_engine
from videopath.model.inference.spec import NANO
from videopath.model.served.engine import ServedEngine
from videopath.model.served.transport import Traffic

_CASES = 2


@dataclass(frozen=True)
class Cost:
    """What one case cost."""

    model: str
    scoring: str
    seconds: float
    requests_to_find_out: int
    requests: int
    megabytes_sent: float
    prompt_tokens: int
    reused: float | None
    """Share of the prompts' tokens that the server took from its cache; None if it does not say."""
    diagnosis: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", action="append", default=[], help="a served model, as for videopath diagnose"
    )
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        costs = [cost_of(name, Path(folder) / str(n)) for n, name in enumerate([NANO, *asked.model])]
    if asked.json:
        print(json.dumps([asdict(cost) for cost in costs], indent=2, ensure_ascii=False))
        return
    for cost in costs:
        reused = "not said" if cost.reused is None else f"{cost.reused:.0%}"
        print(
            f"{cost.model}: {cost.seconds:.2f} s, {cost.requests} requests ({cost.requests_to_find_out} before the "
            f"first case), {cost.megabytes_sent:.2f} MB sent, {cost.prompt_tokens} prompt tokens, reused {reused}; "
            f"scores by {cost.scoring}; {cost.diagnosis}"
        )


def cost_of(name: str, folder: Path) -> Cost:
    """Run cases with a model; return what the last one cost."""
    folder.mkdir()
    engine = load_engine(name)
    to_find_out = _traffic(engine).requests
    with DiagnosticAgent.load(engine, accept_uncalibrated=True, home=folder / "home") as agent:
        for number in range(_CASES):
            video = render_case(folder / f"{number}.mp4", seed=number, seconds=4.0, size=(640, 480))
            before, began = _traffic(engine), time.perf_counter()
            report = agent.diagnose(video, site="colon")
            seconds, after = time.perf_counter() - began, _traffic(engine)
    tokens = after.prompt_tokens - before.prompt_tokens
    cached = after.cached_tokens - before.cached_tokens
    return Cost(
        model=engine.info.name,
        scoring=engine.info.scoring,
        seconds=seconds,
        requests_to_find_out=to_find_out,
        requests=after.requests - before.requests,
        megabytes_sent=(after.bytes_sent - before.bytes_sent) / 1e6,
        prompt_tokens=tokens,
        reused=cached / tokens if tokens and cached else None,
        diagnosis=report.diagnosis,
    )


def _traffic(engine: Engine) -> Traffic:
    """Return a copy of what an engine exchanged so far; nothing for a model on this machine."""
    return replace(engine.traffic) if isinstance(engine, ServedEngine) else Traffic()


if __name__ == "__main__":
    main()
