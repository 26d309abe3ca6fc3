"""What the shared prefix saves: the agent's calls by one session, against the same calls by plain transformers.

    python benchmarks/session.py [--model nano] [--model mid] [--threads 2] [--json]

The calls: describe (64 new tokens), diagnose blind (32), diagnose with neighbours (32), score 8 candidates. Plainly,
each call runs the vision tower and reads the whole prompt again, as ``generate`` of transformers does by itself; the 8
candidates share one run of the tower even there. Both ways use the same weights and number of tokens (no end token)
and must give the same tokens and scores. Each way runs in a process of its own, so that its peak memory is its own.

``nano`` is the bundled model, ``mid`` a random one of about 90 M parameters that sees 8 frames at 384 px.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from videopath.media.clip import Clip
from videopath.media.synthetic import render_clip
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network, new_network
from videopath.model.inference.engine import LocalEngine, load_local_engine
from videopath.model.inference.session import LocalSession
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.questions import (
    DIAGNOSIS_START,
    SimilarCaseText,
    describe_question,
    diagnose_question,
)
from videopath.model.prompts.template import build_prompt, tokenise
from videopath.training.scratch.tokenizer import train_tokenizer

MODELS = ("nano", "mid")
SITE = "colon"
DESCRIPTION = (
    "Crowded, irregular glands lined by tall cells with enlarged, dark, stratified nuclei; the lumina hold necrotic "
    "debris and the stroma between the glands is fibrous and inflamed."
)
NEIGHBOURS = [
    SimilarCaseText(
        "benign colon tissue",
        "Straight crypts of even size with basal nuclei and many goblet cells in a loose stroma.",
    ),
    SimilarCaseText(
        "tubular adenoma",
        "Crowded tubules with long, dark, stratified nuclei that stay in the crypts; no invasion.",
    ),
    SimilarCaseText(
        "colon adenocarcinoma",
        "Fused and cribriform glands with necrosis in their lumina invade a desmoplastic stroma.",
    ),
]
CANDIDATES = [
    f" {label}\n"
    for label in (
        "colon adenocarcinoma",
        "benign colon tissue",
        "tubular adenoma",
        "mucinous adenocarcinoma",
        "ulcerative colitis",
        "hyperplastic polyp",
        "neuroendocrine tumour",
        "diffuse large B-cell lymphoma",
    )
]


@dataclass(frozen=True)
class Call:
    """One call of the agent: tokens to write, or candidates to score where there are none."""

    name: str
    question: str
    answer_start: str
    new_tokens: int


CALLS = (
    Call("describe", describe_question(SITE), "", 64),
    Call("diagnose blind", diagnose_question(SITE, DESCRIPTION), DIAGNOSIS_START, 32),
    Call("diagnose with neighbours", diagnose_question(SITE, DESCRIPTION, NEIGHBOURS), DIAGNOSIS_START, 32),
    Call("score 8 candidates", diagnose_question(SITE, DESCRIPTION, NEIGHBOURS), DIAGNOSIS_START, 0),
)
Result = list[int] | list[float]


def network_of(model: str) -> tuple[Network, int]:
    """The network without end tokens, so that every answer has its full length, and the frames that it sees."""
    if model == "nano":
        engine: LocalEngine = load_local_engine(EngineSpec("nano", device="cpu"))
        own, frames = engine.network, engine.info.frames
        return Network(replace(own.config, eos_token_ids=()), own.tokenizer, own.model), frames
    config = LlavaConfig(
        text_config={
            "hidden_size": 640,
            "intermediate_size": 2560,
            "num_hidden_layers": 11,
            "num_attention_heads": 10,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_theta": 1e6,
        },
        vision_config={
            "hidden_size": 384,
            "intermediate_size": 1536,
            "num_hidden_layers": 12,
            "num_attention_heads": 6,
            "image_size": 384,
            "patch_size": 14,
        },
        newline_position="grid",
        max_length=4096,
        repetition_penalty=1.05,
    )
    texts = [call.question for call in CALLS] + CANDIDATES
    return new_network(config, train_tokenizer(texts, 2000)), 8


def sample_clip(frames: int) -> Clip:
    """A synthetic clip in memory."""
    pixels = np.asarray(render_clip("colon adenocarcinoma", 7, frames, 384))
    places = np.arange(frames)
    return Clip(
        path=Path("synthetic"),
        frames=pixels,
        seconds=places.astype(np.float64),
        indices=places,
        fps=1.0,
        duration=float(frames),
        width=pixels.shape[2],
        height=pixels.shape[1],
        total_frames=frames,
        sha256="",
        sampling="uniform",
        kind="video",
        reader="pyav",
    )


def by_session(network: Network, clip: Clip) -> dict[str, tuple[float, Result]]:
    """Seconds and result per call; opening the session is a call of its own."""
    began = time.perf_counter()
    session = LocalSession(network, clip)
    results: dict[str, tuple[float, Result]] = {"open": (time.perf_counter() - began, [])}

    def answer(call: Call) -> Result:
        if not call.new_tokens:
            return session.score(call.question, CANDIDATES, answer_start=call.answer_start)
        return session.generate(
            call.question, max_new_tokens=call.new_tokens, answer_start=call.answer_start
        ).tokens

    with session:
        return results | {call.name: timed(answer, call) for call in CALLS}


@torch.inference_mode()
def by_transformers(network: Network, clip: Clip) -> dict[str, tuple[float, Result]]:
    """Seconds and result per call of ``LlavaOnevisionForConditionalGeneration``, everything computed each time."""
    return {call.name: timed(lambda call: plain_answer(network, clip, call), call) for call in CALLS}


def plain_answer(network: Network, clip: Clip, call: Call) -> Result:
    """One call by ``generate``, or by one forward pass per candidate."""
    visual = network.video_embeds(network.prepare(clip.frames, "video"))
    ids = tokenise(network.tokenizer, build_prompt(call.question, answer_start=call.answer_start))
    prompt = network.embed(ids, [visual])
    if not call.new_tokens:
        return [plain_score(network, prompt, candidate) for candidate in CANDIDATES]
    written = network.model.generate(
        inputs_embeds=prompt,
        attention_mask=torch.ones(prompt.shape[:2], dtype=torch.long),
        max_new_tokens=call.new_tokens,
        do_sample=False,
        repetition_penalty=network.config.repetition_penalty,
        eos_token_id=None,
        pad_token_id=0,
    )
    return written[0].tolist()


def plain_score(network: Network, prompt: torch.Tensor, candidate: str) -> float:
    """Mean log-probability of a candidate after the prompt ``[1, L, hidden]``."""
    ids = torch.tensor(network.tokenizer(candidate)["input_ids"])
    row = torch.cat([prompt, network.embed_tokens(ids)[None]], dim=1)
    logits = network.model(inputs_embeds=row, logits_to_keep=len(ids) + 1).logits[0, :-1]
    return float(logits.float().log_softmax(-1).gather(1, ids[:, None]).mean())


def timed(answer: Callable[[Call], Result], call: Call) -> tuple[float, Result]:
    """Seconds that a call took, and its result."""
    began = time.perf_counter()
    result = answer(call)
    return time.perf_counter() - began, result


def child(model: str, way: str, threads: int) -> dict[str, object]:
    """One way of one model in this process."""
    torch.set_num_threads(threads)
    # that the penalty leaves the prompt out is what the checkpoint's own code does, too
    warnings.filterwarnings("ignore", message="Passing `repetition_penalty`")
    network, frames = network_of(model)
    calls = (by_session if way == "session" else by_transformers)(network, sample_clip(frames))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": {name: seconds for name, (seconds, _) in calls.items()},
        "results": {name: result for name, (_, result) in calls.items()},
        "peak_mib": peak / (2**20 if sys.platform == "darwin" else 2**10),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "frames": frames,
    }


def compare(model: str, threads: int) -> dict[str, object]:
    """Both ways of one model, each in a process of its own; they must agree."""
    found = {}
    for way in ("plain", "session"):
        command = [sys.executable, __file__, "--child", way, "--model", model, "--threads", str(threads)]
        found[way] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    plain, session = found["plain"], found["session"]
    for call in CALLS:
        theirs, ours = plain["results"][call.name], session["results"][call.name]
        if not np.allclose(theirs, ours, atol=1e-3):
            raise SystemExit(f"{model}: {call.name} differs: {theirs} plainly, {ours} by the session.")
    totals = {way: sum(found[way]["seconds"].values()) for way in found}
    return {
        "model": model,
        "parameters": plain["parameters"],
        "frames": plain["frames"],
        "threads": threads,
        "seconds": {way: found[way]["seconds"] for way in found},
        "total_seconds": totals,
        "ratio": totals["session"] / totals["plain"],
        "peak_mib": {way: found[way]["peak_mib"] for way in found},
    }


def table(comparison: dict[str, object]) -> Table:
    """The comparison of one model for people."""
    title = "{model}: {millions:.1f} M parameters, {frames} frames, {threads} threads".format(
        millions=comparison["parameters"] / 1e6, **comparison
    )
    shown = Table("call", "plain [s]", "session [s]", title=title)
    seconds, totals, peak = comparison["seconds"], comparison["total_seconds"], comparison["peak_mib"]
    for name in ("open", *(call.name for call in CALLS)):
        plain = seconds["plain"].get(name)
        shown.add_row(name, "–" if plain is None else f"{plain:.2f}", f"{seconds['session'][name]:.2f}")
    shown.add_section()
    shown.add_row("all", f"{totals['plain']:.2f}", f"{totals['session']:.2f}")
    shown.add_row("ratio", "1", f"{comparison['ratio']:.2f}")
    shown.add_row("peak memory [MiB]", f"{peak['plain']:.0f}", f"{peak['session']:.0f}")
    return shown


def main() -> None:
    """Read the command line and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", choices=MODELS, help="may be given twice; default: both")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--child", choices=("plain", "session"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    models = options.model or MODELS
    if options.child:
        print(json.dumps(child(models[0], options.child, options.threads)))
        return
    comparisons = [compare(model, options.threads) for model in models]
    if options.json:
        print(json.dumps(comparisons, indent=2))
        return
    for comparison in comparisons:
        Console().print(table(comparison))


if __name__ == "__main__":
    main()
