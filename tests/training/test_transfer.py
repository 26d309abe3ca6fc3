"""Staged training on conversations: labels, loss and what a step changes, against the original's own numbers."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from videopath.core.errors import InputError
from videopath.model.architecture.network import Network
from videopath.model.checkpoints.loading import load_network
from videopath.model.inference.spec import EngineSpec
from videopath.model.prompts.template import IMAGE_TAG
from videopath.training.data.conversations import ConversationDataset, collate
from videopath.training.data.instructions import Instruction, read_entries, read_instructions
from videopath.training.data.supervision import IGNORED, supervise
from videopath.training.transfer.loss_model import ConversationLossModel
from videopath.training.transfer.parts import Lora, Part, is_lora, make_trainable, optimiser_groups, part_of


@pytest.fixture
def network(shared: Path) -> Network:
    """The tiny golden checkpoint with all rows of its vocabulary, fresh for each test."""
    return load_network(
        EngineSpec(shared / "golden/ckpt/tiny/full", device="cpu", dtype="float32"), padded=True
    )


@pytest.fixture
def conversations(shared: Path, network: Network) -> ConversationDataset:
    folder = shared / "golden/train"
    read = read_instructions(folder / "sft.json")
    return ConversationDataset(read, folder, network.config, network.tokenizer, frames=4)


def loss(
    model: ConversationLossModel, conversations: ConversationDataset, numbers: list[int]
) -> torch.Tensor:
    return model(**collate([conversations[number] for number in numbers]))["loss"]


@pytest.mark.parametrize(("number", "sample"), [(0, "image"), (1, "video")])
def test_ids_and_labels_are_the_originals(
    shared: Path, conversations: ConversationDataset, network: Network, number: int, sample: str
) -> None:
    golden = np.load(shared / f"golden/train/{sample}.npz")
    supervised = supervise(conversations.instructions[number], network.tokenizer)
    assert supervised.ids == golden["input_ids"].tolist()
    assert supervised.labels == golden["labels"].tolist()


@pytest.mark.parametrize(("numbers", "sample"), [([0], "image"), ([1], "video"), ([0, 1], "batch2")])
def test_from_files_to_the_originals_loss(
    shared: Path, conversations: ConversationDataset, network: Network, numbers: list[int], sample: str
) -> None:
    golden = json.loads((shared / "golden/train/meta.json").read_text())
    with torch.no_grad():
        value = loss(ConversationLossModel(network), conversations, numbers)
    assert float(value) == pytest.approx(golden[sample]["loss"], abs=1e-5)


@pytest.mark.parametrize(
    ("parts", "lora"),
    [
        (("projector",), None),
        (("tower", "projector", "decoder"), None),
        (("tower", "projector"), Lora(rank=4, alpha=8, dropout=0)),
        ((), Lora(rank=4, alpha=8, dropout=0, parts=("decoder",))),
    ],
)
def test_a_step_changes_exactly_what_the_stage_names(
    conversations: ConversationDataset, network: Network, parts: tuple[Part, ...], lora: Lora | None
) -> None:
    model = ConversationLossModel(network)
    learning = make_trainable(network, parts, lora)
    if lora:
        assert {part_of(name) for name in learning if is_lora(name)} == set(lora.parts)
    before = {name: tensor.clone() for name, tensor in network.model.state_dict().items()}
    groups = optimiser_groups(
        dict(network.model.named_parameters()), dict.fromkeys(("tower", "projector", "decoder"), 1e-2), 0.1
    )
    optimiser = torch.optim.AdamW(groups)
    first = loss(model, conversations, [0, 1])
    first.backward()
    optimiser.step()
    after = network.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    still = {name for name in learning if ".lora_A." in name}  # B is zero at first, so A has no gradient yet
    assert changed | still == {*learning}
    with torch.no_grad():
        assert loss(model, conversations, [0, 1]) < first


def test_an_untrained_adapter_changes_nothing(conversations: ConversationDataset, network: Network) -> None:
    model = ConversationLossModel(network)
    with torch.no_grad():
        plain = loss(model, conversations, [0, 1])
        make_trainable(network, ("tower", "projector"), Lora())
        assert torch.equal(loss(model.eval(), conversations, [0, 1]), plain)


def test_micro_batches_add_up_to_their_batch(conversations: ConversationDataset, network: Network) -> None:
    model = ConversationLossModel(network)
    batches = [collate([conversations[number]]) for number in (0, 1)]
    learned = sum(int((batch["labels"] != IGNORED).sum()) for batch in batches)
    with torch.no_grad():
        whole = loss(model, conversations, [0, 1])
        parts = [model(**batch, num_items_in_batch=learned)["loss"] for batch in batches]
    assert float(sum(parts)) == pytest.approx(float(whole), abs=1e-5)


def conversation(*texts: str, **media: Any) -> dict[str, Any]:
    turns = [{"from": ("human", "gpt")[n % 2], "value": text} for n, text in enumerate(texts)]
    return {"id": "a", "conversations": turns, **media}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (conversation(f"{IMAGE_TAG} what?", "Glands."), "1 <image> marks and 0 images"),
        (conversation("what?", "Glands.", image="a.png"), "0 <image> marks and 1 images"),
        (conversation("what?"), "no question with an answer"),
        (conversation("what?", "Glands.", "and?"), "last question has no answer"),
        (conversation("what?", " "), "turn 2 is empty"),
        (conversation("what?", "<|im_end|>"), "special token of the template"),
        (conversation(f"{IMAGE_TAG}", "Glands.", image="a.png", video="b.mp4"), "an image and a video"),
        ({"conversations": [{"from": "gpt", "value": "x"}, {"from": "human", "value": "y"}]}, "take turns"),
        ([], "valid dictionary"),
    ],
)
def test_a_wrong_conversation_is_reported_with_its_reason(tmp_path: Path, entry: Any, reason: str) -> None:
    file = tmp_path / "data.json"
    file.write_text(json.dumps([conversation("what?", "Glands."), entry]))
    items = dict(read_entries(file))
    assert isinstance(items["Conversation 1 of data.json"], Instruction)
    assert reason in str(items["Conversation 2 of data.json"])
    with pytest.raises(InputError, match="Conversation 2 of data.json"):
        read_instructions(file)


def test_a_mixture_takes_of_each_file_what_it_says(tmp_path: Path) -> None:
    for name in "ab":
        lines = [json.dumps({**conversation("what?", "Glands."), "id": f"{name}{n}"}) for n in range(8)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))

    def ids(*taken: tuple[str, str]) -> list[str]:
        mixture = {"datasets": [{"json_path": file, "sampling_strategy": how} for file, how in taken]}
        (tmp_path / "mix.yaml").write_text(json.dumps(mixture))
        return [one.id for one in read_instructions(tmp_path / "mix.yaml", seed=1)]

    assert ids(("a.jsonl", "first:2"), ("b.jsonl", "end:25%")) == ["a0", "a1", "b6", "b7"]
    drawn = ids(("a.jsonl", "random:50%"))
    assert len(drawn) == 4
    assert drawn == sorted(drawn) == ids(("a.jsonl", "random:50%"))
    assert len(ids(("a.jsonl", "all"), ("b.jsonl", "all"))) == 16
    (tmp_path / "mix.yaml").write_text("datasets: [{json_path: a.jsonl, sampling_strategy: some}]")
    with pytest.raises(InputError, match=r"sampling_strategy"):
        read_instructions(tmp_path / "mix.yaml")


_WORDS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=40).filter(
    lambda text: text.strip() and IMAGE_TAG not in text and "<|im_" not in text
)


@given(st.lists(st.tuples(_WORDS, _WORDS), min_size=1, max_size=3), st.booleans())
def test_answers_are_learned_whole_and_questions_never(
    small_tokenizer: Any, rounds: list[tuple[str, str]], video: bool
) -> None:
    texts = [text for pair in rounds for text in pair]
    entry = conversation(*texts)
    if video:
        entry["conversations"][0]["value"] += IMAGE_TAG
        entry["video"] = "a.mp4"
    supervised = supervise(Instruction.model_validate(entry), small_tokenizer)
    assert len(supervised.ids) == len(supervised.labels)
    assert all(
        label in (token, IGNORED) for token, label in zip(supervised.ids, supervised.labels, strict=True)
    )
    learned = small_tokenizer.decode([label for label in supervised.labels if label != IGNORED])
    for _, answer in rounds:
        composed = unicodedata.normalize("NFC", answer)  # as every Qwen2 tokenizer reads it
        assert f"<|im_start|>assistant\n{composed}<|im_end|>" in learned


@pytest.fixture(scope="module")
def small_tokenizer(small_checkpoint: Path) -> Any:
    from videopath.model.checkpoints.loading import load_tokenizer

    return load_tokenizer(small_checkpoint)


def test_what_cannot_be_read_stops_or_is_skipped_and_reported(tmp_path: Path, small_checkpoint: Path) -> None:
    network = load_network(EngineSpec(small_checkpoint, device="cpu", dtype="float32"))
    Image.fromarray(np.full((80, 120, 3), 90, np.uint8)).save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"no image")
    read = [
        Instruction.model_validate(conversation(f"{IMAGE_TAG}\nwhat?", "Glands.", image=name))
        for name in ("good.png", "bad.png")
    ]
    arguments = (read, tmp_path, network.config, network.tokenizer, 4)
    with pytest.raises(InputError, match=r"bad\.png is not an image"):
        ConversationDataset(*arguments)[1]
    lenient = ConversationDataset(*arguments, on_unreadable="skip")
    batch = collate([lenient[0], lenient[1]])
    (message,) = batch["skipped"]
    assert "bad.png is not an image" in message
    alone = ConversationLossModel(network)(**collate([lenient[0]]))["loss"]
    assert torch.equal(ConversationLossModel(network)(**batch)["loss"], alone)
    nothing = ConversationLossModel(network)(**collate([lenient[1]]))["loss"]
    nothing.backward()
    assert float(nothing.detach()) == 0


def test_several_images_are_each_padded_and_a_text_needs_none(tmp_path: Path, small_checkpoint: Path) -> None:
    network = load_network(EngineSpec(small_checkpoint, device="cpu", dtype="float32"))
    Image.fromarray(np.full((80, 120, 3), 90, np.uint8)).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    both = conversation(f"{IMAGE_TAG}\n{IMAGE_TAG}\nWhich is worse?", "Neither.", image=["a.png", "b.png"])
    read = [
        Instruction.model_validate(entry) for entry in (both, conversation("What is a gland?", "A tube."))
    ]
    assert [one.modality for one in read] == ["images", "text"]
    batch = collate(
        [ConversationDataset(read, tmp_path, network.config, network.tokenizer, 4)[n] for n in (0, 1)]
    )
    assert batch["visuals"] == [(1, (120, 80)), (1, (120, 80))]
    value = ConversationLossModel(network)(**batch)["loss"]
    assert torch.isfinite(value)
