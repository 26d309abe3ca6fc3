"""Which loader reads a folder, what is refused and how, and what the processors put before the model."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.families import RECIPES, write_family
from PIL import Image

from videopath.core.errors import EngineError, InputError, ModelError
from videopath.media.clip import Clip, open_clip
from videopath.media.synthetic import render_case
from videopath.model import load_engine
from videopath.model.families import loading, registry
from videopath.model.families.engine import FamilyEngine
from videopath.model.families.family import counted
from videopath.model.families.kinds import is_other_family
from videopath.model.families.prompting import FramePrompts
from videopath.model.inference.engine import LocalEngine, default_frames

QUESTION = "What is the best diagnosis?"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = render_case(tmp_path_factory.mktemp("case") / "case.mp4", seconds=3, size=(96, 64))
    return open_clip(path, frames=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that writes a family's folder, once for all tests."""
    root, written = tmp_path_factory.mktemp("whole"), {}

    def write(model_type: str) -> Path:
        if model_type not in written:
            written[model_type] = write_family(model_type, root / model_type)
        return written[model_type]

    return write


@pytest.fixture
def folder(whole: Callable[[str], Path], tmp_path: Path) -> Path:
    """A Qwen2.5-VL that a test may change."""
    return Path(shutil.copytree(whole("qwen2_5_vl"), tmp_path / "model"))


def change(path: Path, **values: Any) -> None:
    """Change a JSON file; ``...`` removes a key."""
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not ...}))


def test_a_llava_qwen_is_read_by_the_own_loader_in_each_layout(
    small_checkpoint: Path, tmp_path: Path, whole: Callable[[str], Path]
) -> None:
    from videopath.model.checkpoints.conversion import convert

    converted = convert(small_checkpoint, tmp_path / "converted")
    assert json.loads((converted / "config.json").read_text())["model_type"] == "llava_onevision"
    for own in (small_checkpoint, converted):
        assert not is_other_family(own)
        assert isinstance(load_engine(own, device="cpu"), LocalEngine)
    assert (default_frames(small_checkpoint), default_frames(converted)) == (4, 4)
    for other in ("llava_onevision", "qwen2_5_vl"):
        assert is_other_family(whole(other))
        assert default_frames(whole(other)) == 8


def test_pictures_are_prepared_by_pillow_and_nothing_is_written(folder: Path, clip: Clip, capfd: Any) -> None:
    engine = load_engine(folder, device="cpu")
    assert isinstance(engine, FamilyEngine)
    parts = engine.network.processor._processor
    assert (parts.image_processor.backend, parts.video_processor) == ("pil", None)
    with engine.open(clip) as session:
        session.generate(QUESTION, max_new_tokens=2)
    assert capfd.readouterr().err == "", "transformers' progress bars are off"


@pytest.mark.parametrize("model_type", ["gemma3", "llava_next", "idefics3"])
def test_the_inputs_are_those_of_auto_processor(
    whole: Callable[[str], Path], clip: Clip, model_type: str
) -> None:
    """These families' own processors need no torchvision, so both can be compared."""
    from transformers import AutoProcessor

    engine = load_engine(whole(model_type), device="cpu")
    assert isinstance(engine, FamilyEngine)
    plain = AutoProcessor.from_pretrained(whole(model_type), local_files_only=True, backend="pil")
    picture = Image.fromarray(clip.frames[0])
    content = [{"type": "image", "image": picture}, {"type": "text", "text": QUESTION}]
    expected = plain.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    prompts = FramePrompts(engine.network.processor, clip.frames[:1], [""], fine=True)
    assert prompts.tokens(QUESTION) == expected["input_ids"][0].tolist()
    for name, value in prompts.pictures.items():
        assert torch.equal(value, expected[name]), name


def test_smolvlm_s_own_processor_writes_the_same_prompt(
    whole: Callable[[str], Path], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that stands in for it does not need num2words."""
    from transformers.models.smolvlm import processing_smolvlm

    from videopath.model.families.idefics import SMOLVLM
    from videopath.model.families.processing import PictureProcessor

    ours = PictureProcessor(whole("smolvlm"), SMOLVLM, "smolvlm")
    monkeypatch.setattr(processing_smolvlm, "num2words", str)
    monkeypatch.setattr(
        "videopath.model.families.processing._processor_class",
        lambda *_: processing_smolvlm.SmolVLMProcessor,
    )
    own = PictureProcessor(whole("smolvlm"), SMOLVLM, "smolvlm")
    own._processor.video_processor = SimpleNamespace(
        num_frames=8, fps=1
    )  # asked for its numbers, without any video
    for fine in (False, True):
        both = [FramePrompts(one, clip.frames[:1], ["Frame:"], fine=fine) for one in (ours, own)]
        assert both[0].ids == both[1].ids
        assert torch.equal(both[0].pictures["pixel_values"], both[1].pictures["pixel_values"])


@pytest.mark.parametrize("model_type", ["gemma3", "internvl", "idefics3", "smolvlm", "qwen2_5_vl"])
def test_frames_are_one_view_and_follow_their_seconds(
    whole: Callable[[str], Path], clip: Clip, model_type: str
) -> None:
    engine = load_engine(whole(model_type), device="cpu")
    assert isinstance(engine, FamilyEngine)
    processor = engine.network.processor
    mark = processor.placeholder
    pieces = FramePrompts.of(processor, clip).text(QUESTION).split(mark)
    assert len(pieces) == 4
    for piece, second in zip(pieces, clip.seconds, strict=False):
        assert f"Frame at {second:.1f} s:" in piece
    assert QUESTION in pieces[3]
    large = np.random.default_rng(0).integers(0, 256, (1, 300, 400, 3), np.uint8)
    frame, image = (FramePrompts(processor, large, [""], fine=fine) for fine in (False, True))
    if model_type in ("internvl", "idefics3", "smolvlm"):
        assert len(frame.ids) < len(image.ids), "only an image is cut into tiles"
    assert len(frame.ids) < 150


def test_a_template_that_puts_pictures_first_gets_them_in_the_text(
    whole: Callable[[str], Path], clip: Clip
) -> None:
    engine = load_engine(whole("llava_next"), device="cpu")
    with engine.open(clip) as session:
        prompt = session.prompt("Is it <image> benign?")  # type: ignore[attr-defined]
    lines = [f"Frame at {second:.1f} s: <image>" for second in clip.seconds]
    assert prompt == "[INST] " + "\n".join([*lines, "Is it  benign?"]) + " [/INST]"


def test_frames_that_do_not_fit_are_left_out_and_that_is_said(tmp_path: Path, clip: Clip) -> None:
    engine = load_engine(
        write_family("internvl", tmp_path / "model", max_position_embeddings=220), device="cpu"
    )
    many = clip.take([0, 1, 2] * 5)
    with engine.open(many) as session:
        assert 1 < len(session.clip) < 15
        assert session.notes == [
            f"The model reads at most 220 tokens: {len(session.clip)} of 15 frames are used."
        ]
        assert len(session.generate(QUESTION, max_new_tokens=500).tokens) <= 220
        with pytest.raises(InputError, match="Shorten the question"):
            session.generate("long " * 60)
        with pytest.raises(InputError, match="fit after the question"):
            session.score(QUESTION, [" x", " glands" * 50])
    tiny = load_engine(write_family("internvl", tmp_path / "tiny", max_position_embeddings=20), device="cpu")
    with pytest.raises(InputError, match="One frame needs"):
        tiny.open(clip)


def test_memory_that_runs_out_halves_the_frames(
    whole: Callable[[str], Path], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = load_engine(whole("gemma3"), device="cpu")
    assert isinstance(engine, FamilyEngine)
    forward = type(engine.network.model).forward

    def scarce(self: Any, *arguments: Any, **named: Any) -> Any:
        if len(named.get("pixel_values", ())) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, *arguments, **named)

    monkeypatch.setattr(type(engine.network.model), "forward", scarce)
    shown: list[tuple[int, int]] = []
    with engine.open(clip, on_frames=lambda done, count: shown.append((done, count))) as session:
        assert len(session.clip) == 1
        assert "Out of memory" in session.notes[0]
        assert session.generate(QUESTION, max_new_tokens=1).tokens
    assert shown == [(0, 3), (0, 1), (1, 1)]


def test_an_interrupted_prefill_stops(whole: Callable[[str], Path], clip: Clip) -> None:
    def stop(done: int, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_engine(whole("gemma3"), device="cpu").open(clip, on_frames=stop)


def test_the_card_names_the_engine(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# A model\n")
    assert load_engine(folder, device="cpu").info.licence == "apache-2.0"
    card = {"name": "mine", "frames": 5, "licence": "own", "labels": {"colon": ["a", "b"]}}
    (folder / "videopath.json").write_text(json.dumps(card))
    info = load_engine(folder, device="cpu").info
    assert (info.name, info.frames, info.licence, info.card.labels) == (
        "mine",
        5,
        "own",
        {"colon": ["a", "b"]},
    )
    assert default_frames(folder) == 5
    (folder / "README.md").write_text("---\nlicense: [apache\n---\n")
    (folder / "videopath.json").unlink()
    assert load_engine(folder, device="cpu").info.licence == "not stated"


@pytest.mark.parametrize("model_type", ["bert", "llama", "no-such-model", "x" * 500])
def test_a_model_without_pictures_is_refused_by_name(folder: Path, model_type: str) -> None:
    change(folder / "config.json", model_type=model_type)
    with pytest.raises(ModelError, match=model_type[:80]) as raised:
        load_engine(folder, device="cpu")
    for known in ("LLaVA-Qwen", "Qwen2.5-VL", "Gemma 3", "MedGemma", "InternVL", "SmolVLM2", "Idefics3"):
        assert known in str(raised.value)


@pytest.mark.skipif(find_spec("torchvision") is not None, reason="torchvision is installed")
def test_a_family_that_needs_torchvision_says_what_to_install(folder: Path) -> None:
    change(folder / "preprocessor_config.json", image_processor_type="Lfm2VlImageProcessor")
    with pytest.raises(ModelError, match=r"-m pip install torchvision"):
        load_engine(folder, device="cpu")


def test_a_family_that_is_not_known_is_tried(
    whole: Callable[[str], Path], clip: Clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = load_engine(whole("qwen2_5_vl"), device="cpu")
    monkeypatch.setattr(registry, "FAMILIES", registry.FAMILIES[1:])
    tried = load_engine(whole("qwen2_5_vl"), device="cpu")
    assert isinstance(tried, FamilyEngine)
    assert (tried.network.family.known, tried.network.cache_use) == (False, "rewound")
    monkeypatch.setattr(registry, "_any_positions", counted)
    other = load_engine(whole("qwen2_5_vl"), device="cpu")
    assert isinstance(other, FamilyEngine)
    assert other.network.cache_use == "none", "the positions after the pictures would be wrong"
    answers, scores = [], []
    for engine in (known, tried, other):
        with engine.open(clip) as session:
            answers.append(session.generate(QUESTION, max_new_tokens=12).tokens)
            scores.append(session.score(QUESTION, [" benign.", " x", "a"]))
            session.generate("Another?", max_new_tokens=2)
            assert session.generate(QUESTION, max_new_tokens=12).tokens == answers[-1]
            moments = session.score_moments(QUESTION, [" benign."])
            assert np.shape(moments) == (1, 3)
            if engine is other:
                assert "computes the whole prompt" in session.notes[0]
    assert answers[0] == answers[1] == answers[2]
    assert scores[0] == pytest.approx(scores[2], abs=1e-4)
    assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_a_family_that_cannot_be_asked_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("audio only")

    monkeypatch.setattr(registry, "FAMILIES", registry.FAMILIES[1:])
    monkeypatch.setattr(loading.FamilyNetwork, "_forward", fail)
    with pytest.raises(ModelError, match="qwen2_5_vl.*audio only.*Known are") as raised:
        load_engine(folder, device="cpu")
    assert "\n" not in str(raised.value)


def test_weights_that_may_hold_code_are_refused(folder: Path) -> None:
    torch.save({"x": torch.ones(1)}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"pytorch_model\.bin.*only safetensors"):
        load_engine(folder, device="cpu")


def test_code_in_a_checkpoint_is_not_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('run')\n")
    auto = {
        "AutoConfig": "evil.Config",
        "AutoModelForImageTextToText": "evil.Model",
        "AutoProcessor": "evil.P",
    }
    change(folder / "config.json", auto_map=auto)
    change(folder / "preprocessor_config.json", auto_map={"AutoImageProcessor": "evil.I"})
    change(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]})
    assert load_engine(folder, device="cpu").info.parameters
    change(folder / "config.json", model_type="evil_vl")
    with pytest.raises(ModelError, match="evil_vl"):
        load_engine(folder, device="cpu")


def test_a_missing_tensor_is_named(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = next(key for key in tensors if key.endswith("layers.1.mlp.up_proj.weight"))
    save_file({key: value for key, value in tensors.items() if key != name}, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.up_proj\.weight.*incomplete"):
        load_engine(folder, device="cpu")
    tensors[name] = tensors[name][:3]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ModelError, match="No network can be built"):
        load_engine(folder, device="cpu")


@pytest.mark.parametrize("file", ["tokenizer.json", "preprocessor_config.json", "chat_template.jinja"])
def test_a_missing_file_is_said(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(ModelError, match="chat template" if "chat" in file else "cannot be read"):
        load_engine(folder, device="cpu")


@pytest.mark.parametrize(
    "template", ["{{ undefined.x.y }}", "{% for %}", "no pictures", "{{ raise_exception('no') }}"]
)
def test_a_template_that_cannot_be_used_is_said(folder: Path, template: str) -> None:
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match="chat template|put pictures"):
        load_engine(folder, device="cpu")


def test_a_base_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="no base"):
        load_engine(folder, base=folder, device="cpu")


_STRANGE = [None, True, -1, 0, 1.5, 1 << 70, "", "x", [], ["x"], {}, {"x": {}}]


def damaged(data: bytes, draw: random.Random, *, as_json: bool) -> bytes:
    """The content with one value of another kind, a part missing, or some bits turned."""
    if as_json and draw.random() < 0.7:
        content = json.loads(data)
        places: list[tuple[Any, Any]] = []

        def walk(value: Any) -> None:
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in list(pairs)[:30]:
                places.append((value, key))
                if isinstance(inner, dict | list):
                    walk(inner)

        walk(content)
        parent, key = draw.choice(places)
        parent[key] = draw.choice(_STRANGE)
        return json.dumps(content).encode()
    found = bytearray(data)
    if draw.random() < 0.4:
        return bytes(found[: draw.randrange(len(found))])
    for _ in range(draw.choice([1, 3, 20])):
        found[draw.randrange(min(len(found), 3000))] ^= 1 << draw.randrange(8)
    return bytes(found)


FILES = ["config.json", "generation_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "model.safetensors", "processor_config.json"]  # fmt: skip


def check_damage(whole: Path, tmp_path: Path, clip: Clip, file: str, times: int) -> None:
    folder = shutil.copytree(whole, tmp_path / "model")
    data, draw = (folder / file).read_bytes(), random.Random(file)
    for _ in range(times):
        (folder / file).write_bytes(damaged(data, draw, as_json=file.endswith(".json")))
        try:
            with load_engine(folder, device="cpu").open(clip.take([0])) as session:
                session.generate(QUESTION, max_new_tokens=2)
        except (ModelError, EngineError, InputError) as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert len(str(error)) < 700  # noqa: PT017


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_is_refused_in_one_sentence(
    whole: Callable[[str], Path], tmp_path: Path, clip: Clip, file: str
) -> None:
    check_damage(whole("gemma3"), tmp_path, clip, file, 6)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", FILES)
def test_a_file_is_damaged_in_many_ways(
    whole: Callable[[str], Path], tmp_path: Path, clip: Clip, file: str
) -> None:
    check_damage(whole("gemma3"), tmp_path, clip, file, 100)


def test_every_known_family_has_a_recipe() -> None:
    known = {model_type for family in registry.FAMILIES for model_type in family.model_types}
    assert set(RECIPES) <= known
    for family in registry.FAMILIES:
        assert set(family.model_types) & set(RECIPES), family.name
