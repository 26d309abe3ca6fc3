"""Loading touches nothing global: models of every layout load side by side while another thread builds its own modules."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from videopath.core.files import sha256_file
from videopath.model import load_engine
from videopath.model.checkpoints.conversion import convert
from videopath.model.checkpoints.loading import load_network
from videopath.model.inference.spec import EngineSpec


@pytest.fixture(scope="module")
def layouts(
    small_checkpoint: Path, make_network: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, Path | None]]:
    """Each layout's folder with its base."""
    from videopath.model.checkpoints.saving import save_original

    folder = tmp_path_factory.mktemp("layouts")
    tied = save_original(make_network(tied=True), folder / "tied", torch.float32)
    plain = convert(small_checkpoint, folder / "plain")
    adapter, projector = folder / "adapter", folder / "projector"
    for one in (adapter, projector):
        one.mkdir()
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    from safetensors.torch import save_file

    save_file(
        {name.format("A"): torch.ones(2, 48), name.format("B"): torch.ones(48, 2)},
        adapter / "adapter_model.safetensors",
    )
    (adapter / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 2}))
    torch.save({"model.mm_projector.0.bias": torch.ones(48)}, projector / "mm_projector.bin")
    return {
        "original": (small_checkpoint, None),
        "tied": (tied, None),
        "huggingface": (plain, None),
        "lora": (adapter, small_checkpoint),
        "projector": (projector, small_checkpoint),
    }


@pytest.fixture
def busy() -> Iterator[list[torch.Tensor]]:
    """Wrong weights of the layers that another thread makes meanwhile."""
    wrong: list[torch.Tensor] = []
    ended = threading.Event()

    def build() -> None:
        while not ended.is_set():
            weight = nn.Linear(3, 3).weight
            if weight.is_meta or weight.dtype != torch.float32 or not torch.any(weight):
                wrong.append(weight)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=build)
    thread.start()
    yield wrong
    ended.set()
    thread.join()
    sys.setswitchinterval(interval)


def test_models_of_every_layout_load_at_once_and_leave_nothing_behind(
    layouts: dict[str, tuple[Path, Path | None]], busy: list[torch.Tensor]
) -> None:
    wanted = {
        name: load_network(EngineSpec(folder, base=base, device="cpu")).state_dict()
        for name, (folder, base) in layouts.items()
    }
    begin = threading.Barrier(2 * len(layouts))

    def load(name: str) -> None:
        folder, base = layouts[name]
        begin.wait()
        network = load_network(EngineSpec(folder, base=base, device="cpu"))
        assert not [1 for tensor in [*network.parameters(), *network.buffers()] if tensor.is_meta]
        found = network.state_dict()
        assert found.keys() == wanted[name].keys()
        for key, tensor in wanted[name].items():
            assert torch.equal(found[key], tensor), key
        head, embedding = network.model.lm_head.weight, network.model.get_input_embeddings().weight
        assert (head is embedding) == (name == "tied")

    with ThreadPoolExecutor(2 * len(layouts)) as pool:
        for done in [pool.submit(load, name) for name in [*layouts, *layouts]]:
            done.result()
    assert not busy


def test_loading_changes_no_global_of_torch(layouts: dict[str, tuple[Path, Path | None]]) -> None:
    def state() -> list[Any]:
        return [
            torch.get_rng_state().tolist(),
            torch.get_default_dtype(),
            torch.get_default_device(),
            torch.get_num_threads(),
            torch.is_grad_enabled(),
            nn.Module.register_parameter,
            nn.Linear.reset_parameters,
            nn.init.kaiming_uniform_,
            torch.linspace,
        ]

    before = state()
    for folder, base in layouts.values():
        load_network(EngineSpec(folder, base=base, device="cpu"))
    assert state() == before


def test_a_load_does_not_listen_to_another_default_of_torch(small_checkpoint: Path) -> None:
    wanted = load_network(EngineSpec(small_checkpoint, device="cpu"))
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            found = load_network(EngineSpec(small_checkpoint, device="cpu"))
    finally:
        torch.set_default_dtype(torch.float32)
    for (name, tensor), other in zip(found.named_buffers(), wanted.buffers(), strict=True):
        assert torch.equal(tensor, other), name
    assert {tensor.dtype for tensor in found.parameters()} == {torch.float32}


def test_one_load_opens_a_checkpoint_once(small_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small_checkpoint, tmp_path / "model")
    opened: list[str] = []
    counting = True

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if counting and event == "open" and str(arguments[0]).startswith(str(folder)):
            opened.append(Path(str(arguments[0])).name)

    sys.addaudithook(count)
    engine = load_engine(folder)
    counting = False
    assert engine.info.weights_sha256 == sha256_file(folder / "model.safetensors")
    assert opened.count("config.json") == 2, "once for the family, once for the settings"
    assert opened.count("generation_config.json") == 1
