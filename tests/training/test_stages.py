"""A transfer in stages on a small network: what each leaves loads, resumes to the same end, and merges to the same answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from videopath.core.errors import InputError
from videopath.model import load_engine, nano
from videopath.model.architecture.network import Network
from videopath.model.card import read_card
from videopath.model.checkpoints.loading import load_network
from videopath.model.inference.spec import EngineSpec
from videopath.training.data.conversations import ConversationDataset, collate
from videopath.training.data.grouped_sampler import grouped_order
from videopath.training.data.instructions import read_instructions
from videopath.training.recipe import StartWeights, TransferRecipe, load_recipe
from videopath.training.transfer.carried_card import write_carried_card
from videopath.training.transfer.loss_model import ConversationLossModel
from videopath.training.transfer.planning import plan_stages
from videopath.training.transfer.stage_trainer import StageTrainer
from videopath.training.transfer.stages import LEARNED_FILE, Transfer
from videopath.training.transfer.start import load_start


@pytest.fixture
def recipe(small_checkpoint: Path, short_stage: dict[str, Any]) -> TransferRecipe:
    return TransferRecipe.model_validate(
        {
            "kind": "transfer",
            "name": "small",
            "start": {"checkpoint": str(small_checkpoint)},
            "dtype": "float32",
            "stages": [
                {**short_stage, "name": "images", "data": "images.json", "trains": ["tower", "projector", "decoder"]},
                {
                    **short_stage, "name": "videos", "data": "videos.json", "trains": ["projector"], "accumulate": 2,
                    "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
                },
            ],
        }
    )  # fmt: skip


def curve(out: Path, stage: str, name: str) -> list[tuple[int, float]]:
    """(step, value) as TensorBoard shows them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(out / stage / "trainer" / "tensorboard"))
    read.Reload()
    return [(event.step, event.value) for event in read.Scalars(f"train/{name}")]


def lines(out: Path, stage: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / stage / "trainer" / "log.jsonl").read_text().splitlines()]


@torch.no_grad()
def answers(network: Network, data: Path) -> list[float]:
    read = ConversationDataset(
        read_instructions(data / "videos.json"), data, network.config, network.tokenizer, 3
    )
    return [float(ConversationLossModel(network).eval()(**collate([read[n]]))["loss"]) for n in range(2)]


def test_stages_leave_checkpoints_that_load_and_merge_to_the_same(
    recipe: TransferRecipe, data: Path, tmp_path: Path, small_checkpoint: Path
) -> None:
    messages: list[str] = []
    out = tmp_path / "run"
    folder = Transfer(recipe, data, out, messages.append).run()
    assert folder == out / "videos" / "original"
    whole = load_network(EngineSpec(folder, device="cpu", dtype="float32"))
    adapted = load_network(EngineSpec(out / "videos" / "lora", device="cpu", dtype="float32"))
    assert answers(adapted, data) == pytest.approx(answers(whole, data), abs=1e-5)
    for_peft = load_network(EngineSpec(out / "videos" / "peft", device="cpu", dtype="float32"))
    assert answers(for_peft, data) == pytest.approx(answers(whole, data), abs=1e-5)
    plain = load_network(EngineSpec(out / "videos" / "huggingface", device="cpu", dtype="float32"))
    assert answers(plain, data) == answers(whole, data)
    before = load_network(EngineSpec(out / "images" / "original", device="cpu", dtype="float32"))
    start = load_network(EngineSpec(small_checkpoint, device="cpu", dtype="float32"))
    first, second, third = (np.mean(answers(network, data)) for network in (start, before, whole))
    assert third < second < first
    card = read_card(small_checkpoint)
    for place in (
        "images/original",
        "images/huggingface",
        "videos/lora",
        "videos/original",
        "videos/huggingface",
    ):
        carried = read_card(out / place)
        assert (carried.name, carried.calibration) == ("small", {})
        assert carried.trained_on.endswith("conversations of the recipe small")
        kept = ("labels", "unknown_label", "frames", "score_reduction", "licence")
        assert [getattr(carried, name) for name in kept] == [getattr(card, name) for name in kept]
    log = lines(out, "videos")
    assert [line["step"] for line in log] == [1, 2, 3, 4]
    assert all(line["tokens_per_second"] > 0 and line["skipped"] == 0 for line in log)
    assert curve(out, "videos", "loss") == [(line["step"], pytest.approx(line["loss"])) for line in log]
    assert any("step 4 of 4" in sentence for sentence in messages)
    assert not (out / "videos" / "trainer" / "skipped.txt").exists()

    messages.clear()
    (data / "videos.json").rename(data / "gone.json")
    try:
        assert Transfer(recipe, data, out, messages.append).run() == folder, "what is done needs no data"
    finally:
        (data / "gone.json").rename(data / "videos.json")
    assert messages == []


def test_nano_is_a_name_in_a_recipe_too(recipe: TransferRecipe, tmp_path: Path) -> None:
    named = recipe.model_copy(update={"start": StartWeights(checkpoint="nano")})
    assert plan_stages(named, 1)[0].tensors > 100
    assert load_start(named.start, 0).config == load_engine("nano").network.config
    write_carried_card(named, tmp_path)
    assert read_card(Path(nano.__file__).parent).calibration
    assert read_card(tmp_path).calibration == {}
    assert read_card(tmp_path).labels == load_engine("nano").info.card.labels


class _Killed(BaseException):
    pass


def test_a_stage_that_was_killed_ends_as_one_that_was_not(
    recipe: TransferRecipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Transfer(recipe, data, tmp_path / "whole", lambda _: None).run()
    calls = 0
    usual = StageTrainer.compute_loss

    def dying(self: StageTrainer, *arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if (
            calls == 4 + 3 * 2 + 1
        ):  # of the second stage, three steps of two micro-batches are done, two are saved
            raise _Killed
        return usual(self, *arguments, **named)

    monkeypatch.setattr(StageTrainer, "compute_loss", dying)
    with pytest.raises(_Killed):
        Transfer(recipe, data, tmp_path / "cut", lambda _: None).run()
    monkeypatch.undo()
    messages: list[str] = []
    Transfer(recipe, data, tmp_path / "cut", messages.append).run()
    assert any("resumed" in sentence for sentence in messages)
    curves = [
        [(line["step"], line["loss"]) for line in lines(tmp_path / run, "videos")] for run in ("whole", "cut")
    ]
    assert [step for step, _ in curves[1]] == [1, 2, 3, 4]
    assert curves[0] == curves[1]
    assert curve(tmp_path / "cut", "videos", "loss") == curve(tmp_path / "whole", "videos", "loss")
    states = [load_file(tmp_path / run / "videos" / LEARNED_FILE) for run in ("whole", "cut")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor"
)  # torch's own tracing of checkpointed layers
def test_compiled_layers_learn_the_same(
    recipe: TransferRecipe, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = torch.nn.Module.compile
    compiled_layers: list[torch.nn.Module] = []

    def traced(self: torch.nn.Module, **settings: Any) -> None:
        compiled_layers.append(self)
        usual(self, backend="eager", **settings)  # the C++ compiler alone takes a minute

    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    first = recipe.stages[0].model_copy(update={"steps": 2, "batch": 4})
    curves = []
    for compiled in (False, True):
        stage = first.model_copy(update={"compile": compiled})
        run = Transfer(
            recipe.model_copy(update={"stages": (stage,)}), data, tmp_path / str(compiled), lambda _: None
        )
        assert load_network(EngineSpec(run.run(), device="cpu")).config.image_size
        curves.append([line["loss"] for line in lines(run.out, "images")])
    assert curves[0] == pytest.approx(curves[1], abs=2e-3)
    assert curves[0][0] != curves[0][1]
    assert len(compiled_layers) == 4, "two of the tower, two of the decoder"


def test_a_stage_alone_needs_those_before_it(recipe: TransferRecipe, data: Path, tmp_path: Path) -> None:
    run = Transfer(recipe, data, tmp_path / "run", lambda _: None)
    with pytest.raises(InputError, match="videos continues from images"):
        run.run(1)
    with pytest.raises(InputError, match="no stage 2"):
        run.run(2)
    assert run.run(0) == tmp_path / "run" / "images" / "original"
    assert not (tmp_path / "run" / "videos").exists()


def test_what_cannot_be_read_is_counted_and_written_down(
    recipe: TransferRecipe, data: Path, tmp_path: Path
) -> None:
    listed = json.loads((data / "images.json").read_text())
    listed[3]["image"] = "missing.png"
    (data / "damaged.json").write_text(json.dumps(listed))
    changed = {"data": "damaged.json", "epochs": 1, "steps": None}
    stages = [
        recipe.stages[0].model_copy(update={**changed, "on_unreadable": how}) for how in ("stop", "skip")
    ]
    with pytest.raises(InputError, match=r"missing\.png"):
        Transfer(recipe.model_copy(update={"stages": stages[:1]}), data, tmp_path / "a", lambda _: None).run()
    Transfer(recipe.model_copy(update={"stages": stages[1:]}), data, tmp_path / "b", lambda _: None).run()
    assert "missing.png" in (tmp_path / "b" / "images" / "trainer" / "skipped.txt").read_text()
    assert lines(tmp_path / "b", "images")[-1]["skipped"] == 1


def test_every_batch_is_of_one_modality_and_every_epoch_is_another(data: Path) -> None:
    read = [*read_instructions(data / "images.json"), *read_instructions(data / "videos.json")]
    orders = [grouped_order(read, 2, seed=5, epoch=epoch) for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    for order in orders:
        assert sorted(order) == list(range(len(read)))
        runs = [order[at : at + 2] for at in range(0, len(order), 2)]
        assert all(len({read[place].modality for place in run}) == 1 for run in runs)


@pytest.mark.parametrize("name", ["vidrip-7b", "vidrip-0.5b"])
def test_the_published_recipes_have_their_published_numbers(name: str) -> None:
    recipe = load_recipe(name, ["seed=7", "stages.3.save_every=10"])
    assert isinstance(recipe, TransferRecipe)
    assert recipe.seed == 7
    assert [stage.name for stage in recipe.stages] == ["projector", "images", "clips", "videos"]
    assert [stage.learning_rate for stage in recipe.stages] == [1e-3, 1e-5, 1e-5, 1e-5]
    last = recipe.stages[3]
    assert (last.save_every, last.frames, last.tower_learning_rate) == (10, 32, 2e-6)
    assert last.lora is not None
    assert (last.lora.rank, last.lora.alpha, last.lora.parts) == (128, 256, ("decoder", "tower"))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("seed", "KEY=VALUE"),
        ("stages.9.batch=1", "cannot be set"),
        ("stages.0.batch=0", "stages.0.batch"),
        ("speed=1", "speed"),
    ],
)
def test_a_wrong_change_is_named(change: str, word: str) -> None:
    with pytest.raises(InputError, match=word):
        load_recipe("vidrip-7b", [change])
