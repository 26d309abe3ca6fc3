"""What answering side by side saves: python benchmarks/together.py [--model nano] [--model mid] [--batch 8] [--tokens 96] [--json]

The same question about several clips, each opened before: answered one after the other, and all at once
(:func:`videopath.model.inference.session.answer_together`), with the same tokens. Models and clips are those of session.py.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from session import CALLS, MODELS, network_of, sample_clip

from videopath.model.inference.engine import Request
from videopath.model.inference.session import LocalSession, answer_together


def measured(model: str, batch: int, tokens: int) -> dict[str, object]:
    """Seconds of both ways, with every answer of its full length."""
    network, frames = network_of(model)
    sessions = [LocalSession(network, sample_clip(frames)) for _ in range(batch)]
    questions = [CALLS[number % 3].question for number in range(batch)]  # of three lengths
    answer_together(
        sessions, [Request(one, max_new_tokens=2) for one in questions]
    )  # both ways find the prompts read
    begun = time.perf_counter()
    alone = [
        session.generate(question, max_new_tokens=tokens)
        for session, question in zip(sessions, questions, strict=True)
    ]
    between = time.perf_counter()
    together = answer_together(sessions, [Request(one, max_new_tokens=tokens) for one in questions])
    ended = time.perf_counter()
    same = sum(one.tokens == other.tokens for one, other in zip(alone, together, strict=True))
    return {
        "model": model, "clips": batch, "tokens": tokens, "same answers": same, "one by one s": between - begun,
        "together s": ended - between, "ratio": (ended - between) / (between - begun),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", choices=MODELS)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for model in arguments.model or MODELS:
        found = measured(model, arguments.batch, arguments.tokens)
        if arguments.json:
            print(json.dumps(found))
        else:
            print(
                f"{model}: {found['clips']} clips, {found['tokens']} tokens each, {found['same answers']} the same: "
                f"{found['one by one s']:.2f} s one by one, {found['together s']:.2f} s together, ratio {found['ratio']:.2f}"
            )


if __name__ == "__main__":
    main()
