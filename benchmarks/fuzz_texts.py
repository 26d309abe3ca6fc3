"""Damaged conversations, question sets, settings, recipes and mixtures, for fuzz.py."""

from __future__ import annotations

import json
import os
from functools import partial
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

import yaml
from damage import damaged_json, damaged_text, exchanged
from fuzz_input import Input, Maker
from PIL import Image

from videopath.core.settings import load_settings
from videopath.evaluation.testsets.sets import read_items
from videopath.knowledge import read_records
from videopath.training.data.instructions import read_instructions
from videopath.training.recipe import load_recipe
from videopath.training.validation import check_dataset

_SETTINGS = (
    'model = "nano"\nframes = 8\nreview = "never"\ndevice = "cpu"\nknowledge = "base"\ndtype = "float32"\n'
    "tracing = false\naccept_licence = false\n"
)
_MIXTURE = {"datasets": [{"json_path": "set.json", "sampling_strategy": "first:50%"}]}


def datasets(seeds: Path) -> Maker:
    """Conversations and question sets, as a list, as lines and as a mixture."""
    return _damaged_dataset


def settings(seeds: Path) -> Maker:
    """``videopath.toml``."""
    return _damaged_settings


def recipes(seeds: Path) -> Maker:
    """Recipes of every kind."""
    shipped = files("videopath.training") / "recipes"
    return partial(_damaged_recipe, [(shipped / f"{name}.yaml").read_bytes() for name in _RECIPES])


_RECIPES = ("nano", "nano-start", "nano-transfer", "vidrip-7b")


def _damaged_dataset(draw: Random, work: Path) -> Input:
    Image.new("RGB", (32, 32)).save(work / "a.png")
    entries: list[Any] = [_conversation(number) for number in range(4)]
    if draw.random() < 0.4:
        entries = [_question(number) for number in range(4)]
    if draw.random() < 0.5:
        data = damaged_json(entries, draw)
    else:
        lines = [json.dumps(entry).encode() for entry in entries]
        lines[draw.randrange(4)] = damaged_json(entries[0], draw)
        data = b"\n".join(lines)
    path = work / draw.choice(["set.json", "set.jsonl"])
    path.write_bytes(data)
    if draw.random() < 0.1:
        (work / "mixture.yaml").write_bytes(_damaged_yaml(yaml.safe_dump(_MIXTURE).encode(), draw))
        path = work / "mixture.yaml"
    depth: Any = draw.choice(["names", "files", "frames"])
    readings = [
        lambda: list(check_dataset(path, work, depth)),
        partial(read_instructions, path),
        partial(read_items, path, work),
        lambda: list(read_records(path)),
        lambda: list(read_records(path, left_out=lambda error: None)),
    ]
    return Input(path, readings)


def _damaged_settings(draw: Random, work: Path) -> Input:
    data = damaged_text(_SETTINGS.encode(), draw)
    if draw.random() < 0.4:
        lines = _SETTINGS.splitlines()
        at = draw.randrange(len(lines))
        lines[at] = f"{lines[at].split('=')[0]}= {draw.choice(_TOML_VALUES)}"
        data = "\n".join(lines).encode(errors="surrogatepass")
    (work / "videopath.toml").write_bytes(data)

    def read() -> object:
        os.environ["VIDEOPATH_HOME"] = str(work)
        return load_settings()

    return Input(work / "videopath.toml", [read])


_TOML_VALUES = (
    "7", "-1", "1e400", "nan", "[]", "{}", '""', '"x"', '"\\u0000"', '"\\ud800"', "1979-05-27", "true",
    "[[[[]]]]", "[" * 3000 + "]" * 3000, "9" * 6000, '"' + "x" * 9000 + '"', "'~nobody/x'",
)  # fmt: skip


def _damaged_recipe(whole: list[bytes], draw: Random, work: Path) -> Input:
    path = work / "recipe.yaml"
    path.write_bytes(_damaged_yaml(draw.choice(whole), draw))
    changes = draw.choice([[], [], ["seed=3"], ["stages.1.batch=2"], ["start.checkpoint=x"]])
    return Input(path, [partial(load_recipe, str(path), changes)])


def _damaged_yaml(data: bytes, draw: Random) -> bytes:
    how = draw.random()
    if how < 0.5:
        content = exchanged(yaml.safe_load(data), draw, draw.choice([1, 2]))
        return yaml.safe_dump(content, allow_unicode=True).encode(errors="surrogatepass")
    if how < 0.6:
        return data + draw.choice(_YAML_TRICKS)
    return damaged_text(data, draw)


_YAML_TRICKS = (
    b"\na: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\nseed: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
    b"\nseed: &s [*s]\n", b"\nseed: !!python/object/apply:os.system [echo]\n", b"\n<<: [1]\n", b"\nseed: 2001-99-99\n",
    b"\n? [a]\n: b\n", b"\n? {a: b}\n: c\n", b"\nseed: !!int x\n", b"\nseed: !!binary '\xff'\n", b"\n--- \nx: y\n", b"\nseed: 0x\n",
    b"\nseed: 1:99:99.9\n", b"\nseed: !!timestamp x\n", b"\nseed: *nobody\n", b"\n%YAML 9\n", b"\nseed: !!set [a]\n", b"\nseed: ._\n",
)  # fmt: skip


def _conversation(number: int) -> dict[str, Any]:
    turns = [
        {"from": "human", "value": "<image>\nWhat is shown?"},
        {"from": "gpt", "value": "Crowded glands."},
    ]
    return {"id": f"c{number}", "image": "a.png", "conversations": turns}


def _question(number: int) -> dict[str, Any]:
    return {
        "id": f"q{number}", "video": "a.png", "question": "What is shown?", "answer": "Diagnosis: colon adenocarcinoma",
        "site": "colon", "diagnosis": "colon adenocarcinoma", "description": "Glands.", "attributes": {"grade": "high"},
        "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "Glands."}],
    }  # fmt: skip
