"""Where the model runs, and where hub weights come from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from videopath.core.errors import InputError, ModelError
from videopath.model.architecture.quantise import quantise_linears
from videopath.model.checkpoints.hub import acknowledge, licence_of, resolve
from videopath.model.checkpoints.loading import load_network
from videopath.model.device import choose_device
from videopath.model.inference.spec import EngineSpec

VIDEO = "trinhvg/ViDRiP_LLaVA_video"


def test_a_choice_comes_with_its_reason() -> None:
    choice = choose_device("cpu")
    assert (choice.device, choice.dtype, choice.torch_dtype) == ("cpu", "float32", torch.float32)
    assert "as asked" in choice.reason
    assert choose_device("cpu", "bfloat16").torch_dtype is torch.bfloat16
    chosen = choose_device()
    assert chosen.reason
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        assert chosen.device == "cpu"
        assert "no GPU was found" in chosen.reason


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "cuda:-1"])
def test_unknown_devices_are_refused(device: str) -> None:
    if device:
        with pytest.raises(InputError, match="not known"):
            choose_device(device)
    with pytest.raises(InputError, match="float7"):
        choose_device("cpu", "float7")


def test_devices_that_are_not_here_are_refused() -> None:
    with pytest.raises(ModelError, match="is not here"):
        choose_device(f"cuda:{torch.cuda.device_count()}")


def test_quantisation_needs_cuda_and_its_extra(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="need a CUDA GPU"):
        load_network(EngineSpec(tmp_path, device="cpu"), quantise="4bit")
    with pytest.raises(InputError, match="3bit"):
        load_network(EngineSpec(tmp_path, device="cpu"), quantise="3bit")  # type: ignore[arg-type]
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        with pytest.raises(ModelError, match="quantised"):
            quantise_linears(torch.nn.Sequential(torch.nn.Linear(2, 2)), "8bit")


def test_the_licence_is_accepted_once(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="CC BY-NC"):
        resolve(VIDEO)
    assert not own_home.exists()
    acknowledge(VIDEO, accept=True)
    acknowledge(VIDEO)
    other = VIDEO.replace("video", "image")
    with pytest.raises(ModelError, match="VIDEOPATH_ACCEPT_LICENCE"):
        acknowledge(other)
    monkeypatch.setenv("VIDEOPATH_ACCEPT_LICENCE", "1")
    acknowledge(other)
    assert "CC BY-NC" in licence_of(other)
    assert licence_of("nano") == ""


def test_a_hub_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="could not be downloaded"):
        resolve(VIDEO, accept_licence=True)


@pytest.mark.parametrize("name", ["nothing", "a/b/c", "../x", "https://x/y"])
def test_what_is_neither_a_folder_nor_an_id_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a checkpoint folder nor a hub id"):
        resolve(name, accept_licence=True)
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(ModelError, match="neither"):
        resolve(file)
    assert resolve(tmp_path) == tmp_path
