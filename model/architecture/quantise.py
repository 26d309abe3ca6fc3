"""4-bit and 8-bit weights of the decoder on CUDA, with the optional package bitsandbytes."""

from __future__ import annotations

from typing import Literal

from torch import nn

from videopath.core.errors import ModelError
from videopath.core.installing import install_command

Quantisation = Literal["4bit", "8bit"]


def quantise_linears(root: nn.Module, quantisation: Quantisation) -> None:
    """Replace every linear layer under ``root`` by its 4-bit (NF4) or 8-bit (LLM.int8) form, still on the CPU.

    The weights are packed when the module moves to CUDA (Dettmers et al. 2022, 2023).
    """
    try:
        import bitsandbytes
    except ImportError as error:
        raise ModelError(
            f"{quantisation} weights need bitsandbytes, which is not installed; run: {install_command('quantised')}"
        ) from error
    children = [(parent, name, child) for parent in root.modules() for name, child in parent.named_children()]
    for parent, name, child in children:
        if not isinstance(child, nn.Linear):
            continue
        has_bias = child.bias is not None
        if quantisation == "4bit":
            packed = bitsandbytes.nn.Linear4bit(
                child.in_features,
                child.out_features,
                has_bias,
                compute_dtype=child.weight.dtype,
                quant_type="nf4",
                device="meta",
            )
            packed.weight = bitsandbytes.nn.Params4bit(
                child.weight.data, requires_grad=False, quant_type="nf4"
            )
        else:
            packed = bitsandbytes.nn.Linear8bitLt(
                child.in_features, child.out_features, has_bias, has_fp16_weights=False, device="meta"
            )
            packed.weight = bitsandbytes.nn.Int8Params(
                child.weight.data, requires_grad=False, has_fp16_weights=False
            )
        packed.bias = child.bias
        setattr(parent, name, packed)
