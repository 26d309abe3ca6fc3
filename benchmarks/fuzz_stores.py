"""Damaged knowledge bases and checkpoints, for fuzz.py."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from damage import damaged_json, exchanged, turned
from fuzz_cases import damage_cells
from fuzz_input import Input, Maker
from PIL import Image
from safetensors.torch import load_file, save_file

from videopath.knowledge import (
    EncodedMedia,
    InstructionRecord,
    KnowledgeBase,
    Media,
    Query,
    read_records,
    verify_folder,
)
from videopath.knowledge.index.fingerprint import FINGERPRINT_BYTES
from videopath.model import LlavaConfig, load_engine, new_network, open_clip, save_original
from videopath.model.card import card_text
from videopath.model.checkpoints.inspection import inspect
from videopath.model.inference.spec import EngineSpec
from videopath.training.scratch.tokenizer import train_tokenizer

_KINDS = {"exact": 40, "hnsw": 1100, "ivf": 1100, "ivfpq": 1100}
_SIDE = 8


class Letters:
    """An encoder and viewer that need no weights: how often each letter occurs."""

    name, dimension = "letters", _SIDE
    sha256 = hashlib.sha256(b"letters").hexdigest()

    def encode(self, texts: Sequence[str], progress: object = None) -> np.ndarray:
        """float32 [texts, dimension]."""
        vectors = np.full((len(texts), _SIDE), 1e-3, np.float32)
        for row, text in enumerate(texts):
            np.add.at(vectors[row], np.frombuffer(text.encode(errors="replace"), np.uint8) % _SIDE, 1)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def stamp(self, media: Media) -> str:
        """Nothing changes."""
        return "same"

    def look(self, media: Media) -> EncodedMedia:
        """What the path says."""
        digest = hashlib.sha256(media.path.encode()).hexdigest()
        prints = np.frombuffer(bytes.fromhex(digest), np.uint8)[:FINGERPRINT_BYTES]
        return EncodedMedia(self.encode([media.path]), prints[None], digest)


def knowledge(seeds: Path) -> Maker:
    """Knowledge bases of every kind of index: manifest, records, vectors; mostly with hashes that fit the damage."""
    for kind, count in _KINDS.items():
        records = [_record(number) for number in range(count)]
        KnowledgeBase.build(
            seeds / kind, records, Letters(), viewer=Letters() if kind == "exact" else None, index=kind
        )
    return partial(_damaged_base, seeds)


def checkpoints(seeds: Path) -> Maker:
    """The smallest network in every kind of file that a checkpoint may have, and an adapter."""
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "num_key_value_heads": 1, "max_position_embeddings": 512, "rope_theta": 1e4}
    config = LlavaConfig(text_config=text, vision_config={**small, "image_size": 40, "patch_size": 8})
    tokenizer = train_tokenizer(["Crowded irregular glands.", "colon adenocarcinoma"], 300)
    safe = save_original(new_network(config, tokenizer, seed=3), seeds / "safe", torch.float32)
    card = {"name": "small", "frames": 2, "labels": {"colon": ["benign colon tissue"]}, "licence": "none"}
    (safe / "videopath.json").write_text(json.dumps(card))
    zipped = shutil.copytree(safe, seeds / "zipped", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(load_file(safe / "model.safetensors"), zipped / "pytorch_model.bin")
    adapter = seeds / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(
        json.dumps(
            {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "alpha_pattern": {}}
        )
    )
    stem = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
    tensors = {f"{stem}A.weight": torch.ones(2, 16), f"{stem}B.weight": torch.ones(16, 2)}
    save_file(tensors, adapter / "adapter_model.safetensors")
    torch.save({"base_model.model.model.norm.weight": torch.ones(16)}, adapter / "non_lora_trainables.bin")
    Image.new("RGB", (40, 40), (200, 150, 180)).save(seeds / "picture.png")
    return partial(_damaged_checkpoint, seeds)


def _damaged_base(seeds: Path, draw: Random, work: Path) -> Input:
    folder = Path(shutil.copytree(seeds / draw.choice([*_KINDS, "exact", "exact"]), work / "base"))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    files = [manifest["records"], *(file for part in manifest["parts"] for file in part["files"])]
    trusted = draw.random() < 0.85
    if draw.random() < 0.2:
        if trusted:
            manifest = exchanged(manifest, draw)
        else:
            (folder / "manifest.json").write_bytes(damaged_json(manifest, draw))
    else:
        file = draw.choice([*files, files[0]])
        path = folder / file["name"]
        if path.suffix == ".sqlite" and draw.random() < 0.7:
            damage_cells(path, draw)
        else:
            path.write_bytes(turned(path.read_bytes(), draw))
        if trusted:
            _settle(path, file)
    if trusted and isinstance(manifest, dict):
        _write_manifest(folder / "manifest.json", manifest)
    return Input(folder, [*_questions(folder), partial(_added_to_copy, folder)], ignored=("copy",))


def _questions(folder: Path) -> list[Callable[[], object]]:
    def opened() -> KnowledgeBase:
        return KnowledgeBase.open(folder, Letters())

    query = Query("crowded glands", image=Letters().encode(["3.png"]))
    return [
        lambda: opened().search("crowded glands", site="colon", diagnosed=True),
        lambda: opened().find(query, 3),
        lambda: list(opened()),
        lambda: opened().info(),
        lambda: verify_folder(folder),
        lambda: list(read_records(folder)),
        lambda: list(read_records(folder, left_out=lambda error: None)),
    ]


def _added_to_copy(folder: Path) -> None:
    copy = Path(shutil.copytree(folder, folder.parent / "copy"))
    KnowledgeBase.open(copy, Letters()).add([_record(5000)])


def _settle(path: Path, file: dict[str, Any]) -> None:
    """Let the manifest's entry be that of the damaged file."""
    data = path.read_bytes()
    file["sha256"], file["size"] = hashlib.sha256(data).hexdigest(), len(data)
    stem = path.name.split("-")[0]
    file["name"] = f"{stem}-{file['sha256'][:12]}{path.suffix}"
    path.rename(path.with_name(file["name"]))


def _write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """With a hash that fits, as a stranger could write it."""
    manifest.pop("sha256", None)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    text = json.dumps({**manifest, "sha256": digest}, indent=2, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode(errors="surrogatepass"))


def _record(number: int) -> InstructionRecord:
    words = ["crowded", "glands", "necrosis", "stroma", "normal", "crypts", "nuclei", "dark"]
    return InstructionRecord(
        id=f"r{number}", source=f"s{number}", site=("colon", "lung")[number % 2], question="What is shown?",
        description=" ".join(words[(number >> shift) % 8] for shift in range(6)), licence="CC BY 4.0",
        diagnosis=("colon adenocarcinoma", "")[number % 3 == 0], media=(Media(path=f"{number}.png"),), patient=f"p{number % 9}",
        provenance={"case": str(number)},
    )  # fmt: skip


def _damaged_checkpoint(seeds: Path, draw: Random, work: Path) -> Input:
    name = draw.choice(["safe", "safe", "zipped", "adapter"])
    folder = Path(shutil.copytree(seeds / name, work / "model"))
    path = draw.choice(sorted(path for path in folder.iterdir() if path.is_file()))
    if path.suffix == ".json" and draw.random() < 0.7:
        path.write_bytes(damaged_json(json.loads(path.read_bytes()), draw))
    else:
        path.write_bytes(turned(path.read_bytes(), draw))
    base = seeds / "safe" if name == "adapter" else None
    readings = [
        partial(_answered, folder, base, seeds / "picture.png"),
        partial(inspect, EngineSpec(folder, base), hash_weights=False),
        partial(card_text, folder),
    ]
    return Input(folder, readings)


def _answered(folder: Path, base: Path | None, picture: Path) -> None:
    """A model that loads answers."""
    engine = load_engine(folder, base=base, device="cpu")
    with engine.open(open_clip(picture, 1)) as session:
        session.generate("What is shown?", max_new_tokens=2)
        session.score("What is shown?", ["colon adenocarcinoma", "benign colon tissue"])
