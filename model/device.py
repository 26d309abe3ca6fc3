"""The device and the number format of a model, with the reason for the choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch

from videopath.core.errors import InputError, ModelError
from videopath.model.architecture.quantise import Quantisation

DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class DeviceChoice:
    """A device ("cpu", "cuda:0", "mps"), a number format ("float32", ...) and the reason for them."""

    device: str
    dtype: str
    reason: str

    @property
    def torch_dtype(self) -> torch.dtype:
        """The number format as a torch dtype."""
        return DTYPES[self.dtype]


def choose_device(device: str | None = None, dtype: str | None = None) -> DeviceChoice:
    """Choose the device and the number format that are not given.

    The device is CUDA, else MPS, else the CPU. The number format is bfloat16 or float16 on a GPU, float32 on the CPU.

    Args:
        device: "cpu", "cuda", "cuda:1" or "mps".
        dtype: "float32", "float16" or "bfloat16".

    Raises:
        InputError: A name is unknown.
        ModelError: The device is not available.
    """
    if dtype is not None and dtype not in DTYPES:
        raise InputError(f"The number format {dtype!r} is not known: use one of {', '.join(DTYPES)}.")
    chosen, why = _checked(device) if device else _best()
    if dtype is not None:
        return DeviceChoice(chosen, dtype, f"{why}; {dtype} as asked")
    if chosen.startswith("cuda"):
        best = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
        return DeviceChoice(chosen, best, f"{why}; {best}, the format it computes fast")
    if chosen == "mps":
        return DeviceChoice(chosen, "float16", f"{why}; float16, half the memory")
    return DeviceChoice(chosen, "float32", f"{why}; float32, exact and fastest on a CPU")


def computes_bfloat16() -> bool:
    """Return whether training in bfloat16 is faster here than in float32; processors that emulate it are 20 times slower."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported()
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)  # since torch 2.12
    capabilities = get_capabilities() if get_capabilities else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def check_quantisation(choice: DeviceChoice, quantise: str | None) -> None:
    """Check that weights of ``quantise`` ("4bit", "8bit" or ``None``) can run on the device.

    Raises:
        InputError: The quantisation is unknown.
        ModelError: The device is not CUDA.
    """
    if quantise is None:
        return
    if quantise not in get_args(Quantisation):
        raise InputError(
            f"The quantisation {quantise!r} is not known: use one of {', '.join(get_args(Quantisation))}."
        )
    if not choice.device.startswith("cuda"):
        raise ModelError(
            f"{quantise} weights need a CUDA GPU, but the device is {choice.device}: leave the quantisation out."
        )


def _best() -> tuple[str, str]:
    if torch.cuda.is_available():
        return "cuda:0", f"a CUDA GPU is here ({torch.cuda.get_device_name(0)})"
    if torch.backends.mps.is_available():
        return "mps", "an Apple GPU is here"
    return "cpu", "no GPU was found"


def _checked(device: str) -> tuple[str, str]:
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()):
        raise InputError(f"The device {device!r} is not known: use cpu, cuda, cuda:1 or mps.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"The device {device!r} is not here: {torch.cuda.device_count()} CUDA GPUs were found. Leave it out or use cpu."
        )
    if kind == "mps" and not torch.backends.mps.is_available():
        raise ModelError("The device 'mps' is not here: no Apple GPU was found. Leave it out or use cpu.")
    return ("cuda:" + (number or "0") if kind == "cuda" else kind), "as asked"
