"""The model in its real size on one accelerator: how close prefill and decoding come to what the device can do.

    python benchmarks/gpu.py                    # on the fastest device here; at most eight minutes on a data-centre GPU
    python benchmarks/gpu.py --size small       # a small network, to try the benchmark itself on a CPU

Random weights of 8.03 billion parameters are written to disk in the original layout and loaded as any checkpoint. The
matrix peak and the memory bandwidth are measured on the same device in the same run: the figures are shares of these, not
of a data sheet. Prefill is limited by the first, decoding of a single answer by the second.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlavaOnevisionForConditionalGeneration, Qwen2Tokenizer
from transformers.cache_utils import StaticCache

from videopath.agent import DiagnosticAgent
from videopath.media.clip import open_clip
from videopath.media.synthetic import render_case
from videopath.model.architecture.config import LlavaConfig
from videopath.model.architecture.network import Network, hf_config
from videopath.model.checkpoints.saving import save_original
from videopath.model.device import choose_device
from videopath.model.inference.engine import LocalEngine, load_local_engine
from videopath.model.inference.session import LocalSession
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.questions import describe_question, diagnose_question
from videopath.model.prompts.template import TURN_MARKS
from videopath.training.scratch.tokenizer import END_OF_TEXT, TURN_END, TURN_START, train_tokenizer

_QUESTION = describe_question("colon")
_CANDIDATES = [f" diagnosis number {number} of this tissue\n" for number in range(8)]
_TOKENS = 64  # of the answer whose speed is measured
_VOCABULARY = 151_646  # tokens of Qwen2.5; with padding 152,064 rows
_REPEATS = 3
_SIZES: dict[str, dict[str, dict[str, Any]]] = {
    "real": {
        "text": {
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "max_position_embeddings": 32768, "rope_theta": 1e6, "rms_norm_eps": 1e-6,
        },
        "vision": {
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26, "num_attention_heads": 16,
            "image_size": 384, "patch_size": 14,
        },
    },
    "small": {
        "text": {
            "hidden_size": 128, "intermediate_size": 352, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 8192, "rope_theta": 1e6, "rms_norm_eps": 1e-6,
        },
        "vision": {
            "hidden_size": 96, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 3,
            "image_size": 112, "patch_size": 14,
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """What was measured. Shares are of the device's own peak in the same run."""

    device: str
    torch: str
    dtype: str
    parameters: int
    frames: int
    visual_tokens: int
    matrix_peak_tflops: float
    bandwidth_gb_per_second: float
    write_seconds: float
    load_seconds: float
    encode_and_prefill_seconds: float
    share_of_matrix_peak: float
    decode_tokens_per_second: float
    share_of_bandwidth: float
    compiled_tokens_per_second: float | None
    compiled_share_of_bandwidth: float | None
    scoring_seconds: float
    case_seconds: float
    peak_memory_gb: float


def main() -> None:
    """Write the weights, load, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=_SIZES, default="real")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--folder", type=Path, help="keep the weights here; default: a temporary folder")
    parser.add_argument("--no-compile", action="store_true", help="leave out the compiled decoder")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary) / "weights"
        figures = measure(asked.size, asked.frames, folder, Path(temporary), not asked.no_compile)
    if asked.json:
        print(json.dumps(asdict(figures), indent=2))
    else:
        for name, value in asdict(figures).items():
            shown = f"{value:.3g}" if isinstance(value, float) else value
            print(f"{name.replace('_', ' '):<32} {shown}")


def measure(size: str, frames: int, folder: Path, work: Path, compiled: bool) -> Figures:
    """Measure everything with weights of a size, which are written to ``folder`` unless they are there."""
    choice = choose_device()
    _report(f"{choice.device} ({choice.reason}), {choice.dtype}")
    write_seconds = (
        0.0 if (folder / "config.json").is_file() else _timed(lambda: write(size, folder, choice.device))
    )
    began = time.perf_counter()
    engine = load_local_engine(EngineSpec(folder))
    load_seconds = time.perf_counter() - began
    network = engine.network
    peak, bandwidth = matrix_peak(choice.device, choice.torch_dtype), memory_bandwidth(choice.device)
    _report("opening the clip")
    video = render_case(work / "case.mp4", seconds=4.0, size=(640, 480))
    clip = open_clip(video, frames)
    engine.open(clip).close()  # the first run chooses kernels
    opening = min(_timed(lambda: engine.open(clip).close()) for _ in range(_REPEATS))
    with engine.open(clip) as session:
        tokens = _prefix_length(session)
        _report("decoding")
        rate = decode_rate(session)
        scoring = min(
            _timed(lambda: session.score(diagnose_question("colon", "Glands."), _CANDIDATES))
            for _ in range(_REPEATS)
        )
    read = decoded_bytes(network, tokens)
    compiled_rate = compiled_decode_rate(network, tokens) if compiled else None
    _report("the whole case")
    case = _timed(lambda: run_case(engine, video, work / "home", frames))
    return Figures(
        device=_device_name(choice.device),
        torch=torch.__version__,
        dtype=choice.dtype,
        parameters=engine.info.parameters,
        frames=frames,
        visual_tokens=tokens,
        matrix_peak_tflops=peak / 1e12,
        bandwidth_gb_per_second=bandwidth / 1e9,
        write_seconds=write_seconds,
        load_seconds=load_seconds,
        encode_and_prefill_seconds=opening,
        share_of_matrix_peak=operations(network, frames, tokens) / opening / peak,
        decode_tokens_per_second=rate,
        share_of_bandwidth=rate * read / bandwidth,
        compiled_tokens_per_second=compiled_rate,
        compiled_share_of_bandwidth=compiled_rate * read / bandwidth if compiled_rate else None,
        scoring_seconds=scoring,
        case_seconds=case,
        peak_memory_gb=torch.cuda.max_memory_allocated() / 1e9
        if choice.device.startswith("cuda")
        else float("nan"),
    )


def write(size: str, folder: Path, device: str) -> None:
    """Write random weights of a size in the original layout, drawn on the device, since that is faster."""
    _report("writing random weights")
    geometry = _SIZES[size]
    config = LlavaConfig(
        text_config=geometry["text"],
        vision_config=geometry["vision"],
        newline_position="grid",
        max_length=32768,
    )
    tokenizer = _tokenizer(_VOCABULARY if size == "real" else None)
    with torch.device("meta"):
        model = LlavaOnevisionForConditionalGeneration(hf_config(config, len(tokenizer)))
    model = model.to(torch.bfloat16).to_empty(device=device)
    generator = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name and name.endswith("weight"):
                tensor.fill_(1)
            elif tensor.is_floating_point():
                tensor.normal_(0, 0.02, generator=generator)
    save_original(Network(config, tokenizer, model), folder, torch.bfloat16)


def _tokenizer(size: int | None) -> Any:
    """A small tokenizer; with ``size`` it has so many tokens, most of which no text needs."""
    trained = train_tokenizer([_QUESTION, *_CANDIDATES], 600)
    if size is None:
        return trained
    model = json.loads(trained.backend_tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = {
        token: number for token, number in model["vocab"].items() if token not in TURN_MARKS
    }
    vocabulary |= {
        f"unused {number}": number for number in range(len(vocabulary), size - len(TURN_MARKS) - 1)
    }
    filled = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=[tuple(pair) for pair in model["merges"]],
        pad_token=END_OF_TEXT,
        eos_token=TURN_END,
    )
    filled.add_special_tokens({"additional_special_tokens": [TURN_START, TURN_END]})
    return filled


def matrix_peak(device: str, dtype: torch.dtype) -> float:
    """Return the operations in a second of the device's best matrix product."""
    side = 8192 if device.startswith("cuda") else 1024
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    seconds = min(_timed(lambda: left @ right) for _ in range(10))
    return 2 * side**3 / seconds


def memory_bandwidth(device: str) -> float:
    """Return the bytes in a second that the device reads and writes: a copy of a large tensor."""
    values = torch.ones(1 << (30 if device.startswith("cuda") else 26), device=device, dtype=torch.bfloat16)
    copy = torch.empty_like(values)
    seconds = min(_timed(lambda: copy.copy_(values)) for _ in range(10))
    return 2 * values.numel() * values.element_size() / seconds


def operations(network: Network, frames: int, tokens: int) -> float:
    """Return the multiplications and additions of encoding the frames and of prefilling the tokens."""
    config, inner = network.config, network.model.model
    patches = config.grid**2
    tower = sum(weight.numel() for weight in inner.vision_tower.encoder.parameters())
    projector = sum(weight.numel() for weight in inner.multi_modal_projector.parameters())
    decoder = sum(weight.numel() for weight in inner.language_model.layers.parameters())
    vision, text = config.vision_config, config.text_config
    seen = 4 * patches**2 * vision["hidden_size"] * vision["num_hidden_layers"]
    read = 2 * tokens**2 * text["hidden_size"] * text["num_hidden_layers"]  # causal: half of the square
    return frames * (2 * (tower + projector) * patches + seen) + 2 * decoder * tokens + read


def decoded_bytes(network: Network, tokens: int) -> float:
    """Return the bytes that each token of an answer reads: the decoder's weights, and keys and values."""
    weights = [*network.model.model.language_model.layers.parameters(), *network.model.lm_head.parameters()]
    text = network.config.text_config
    width = text["hidden_size"] // text["num_attention_heads"] * text["num_key_value_heads"]
    cache = 2 * tokens * width * text["num_hidden_layers"] * weights[0].element_size()
    return sum(weight.numel() * weight.element_size() for weight in weights) + cache


def decode_rate(session: LocalSession) -> float:
    """Return the tokens in a second of an answer, without its prefill."""
    session.generate(_QUESTION, max_new_tokens=2)
    first = min(_timed(lambda: session.generate(_QUESTION, max_new_tokens=1)) for _ in range(_REPEATS))
    times, written = [], 0
    for _ in range(_REPEATS):
        began = time.perf_counter()
        written = len(session.generate(_QUESTION, max_new_tokens=_TOKENS).tokens)
        times.append(time.perf_counter() - began)
    return max(1, written - 1) / max(1e-9, min(times) - first)


def compiled_decode_rate(network: Network, tokens: int) -> float:
    """Return the tokens in a second of the compiled decoder with a static cache that holds ``tokens`` positions."""
    _report("compiling the decoder")
    decoder = network.model.model.language_model
    cache = StaticCache(config=decoder.config, max_cache_len=tokens + _TOKENS + 8)
    step = torch.compile(network.decode, mode="reduce-overhead", dynamic=False)
    embeds = network.embed_tokens(torch.zeros(1, tokens, dtype=torch.long, device=network.device))
    with torch.inference_mode():
        network.decode(embeds, cache=cache, logits_to_keep=1)

        def write_tokens(start: int) -> None:
            for number in range(start, start + _TOKENS // 2):
                place = torch.tensor([[tokens + number]], device=network.device)
                step(embeds[:, :1], cache=cache, position_ids=place, logits_to_keep=1)

        write_tokens(0)  # compiles
        return (_TOKENS // 2) / _timed(lambda: write_tokens(_TOKENS // 2))


def run_case(engine: LocalEngine, video: Path, home: Path, frames: int) -> None:
    """Run a whole case: describe, retrieve, diagnose twice, verify, report."""
    with DiagnosticAgent.load(engine, accept_uncalibrated=True, frames=frames, home=home) as agent:
        agent.diagnose(video, site="colon")


def _prefix_length(session: LocalSession) -> int:
    return session._prefix().length


def _timed(call: Callable[[], object]) -> float:
    _wait()
    began = time.perf_counter()
    call()
    _wait()
    return time.perf_counter() - began


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _device_name(device: str) -> str:
    return (
        torch.cuda.get_device_name()
        if device.startswith("cuda")
        else platform.processor() or platform.machine()
    )


def _report(text: str) -> None:
    print(f"… {text}", flush=True)


if __name__ == "__main__":
    main()
