"""The commands on knowledge bases."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

Run = Callable[..., Result]


def test_knowledge_bases_are_built_searched_and_checked(videopath: Run, tmp_path: Path) -> None:
    source = tmp_path / "records.json"
    turns = [
        {"from": "human", "value": "<image>\nWhat is the best diagnosis for this colon tissue?"},
        {"from": "gpt", "value": "Crowded glands with necrosis. Diagnosis: colon adenocarcinoma"},
    ]
    source.write_text(json.dumps([{"id": "r1", "video": "v1.mp4", "conversations": turns}]))
    folder = tmp_path / "knowledge"
    built = videopath("knowledge", "build", folder, source, "--json")
    assert built.exit_code == 0, built.stderr
    assert json.loads(built.stdout)["records"] == 1
    found = json.loads(videopath("knowledge", "search", "glands", "-k", folder, "--json").stdout)
    assert [hit["record"]["diagnosis"] for hit in found["hits"]] == ["colon adenocarcinoma"]
    assert found["views"] == ["text", "lexical"]
    assert videopath("knowledge", "verify", folder).exit_code == 0
    source.write_text(json.dumps([{"id": "r2", "video": "v2.mp4", "conversations": turns}]))
    assert videopath("knowledge", "add", folder, source).exit_code == 0
    assert videopath("knowledge", "remove", folder, "r1").exit_code == 2, "not without a word"
    assert videopath("knowledge", "remove", folder, "r3", "--yes").exit_code == 1
    removed = videopath("knowledge", "remove", folder, "r1", "--yes", "--json")
    assert json.loads(removed.stdout)["records"] == 1
    edit = ("knowledge", "edit", folder, "r2", "--by", "Dr Ash")
    assert videopath(*edit).exit_code == 2, "nothing to change"
    edited = videopath(*edit, "--diagnosis", "tubular adenoma", "--note", "seen again", "--json")
    assert json.loads(edited.stdout)["diagnosis"] == "tubular adenoma"
    (kept,) = json.loads(videopath("knowledge", "history", folder, "r2", "--json").stdout)
    assert (kept["by"], kept["before"]["diagnosis"]) == ("Dr Ash", "colon adenocarcinoma")
    assert "seen again" in videopath("knowledge", "history", folder, "r2").stdout
    next(folder.glob("records-*")).write_bytes(b"damaged")
    damaged = videopath("knowledge", "verify", folder, "--json")
    assert damaged.exit_code == 1
    assert json.loads(damaged.stdout)["problems"]


def test_knowledge_is_built_from_a_damaged_table_if_asked(videopath: Run, tmp_path: Path) -> None:
    source = tmp_path / "cases.csv"
    source.write_text("id,description\na,Crowded glands\nb,\nc,Nests of small cells\n")
    folder = tmp_path / "knowledge"
    stopped = videopath("knowledge", "build", folder, source)
    assert (stopped.exit_code, stopped.stdout) == (1, "")
    assert "Line 3 of cases.csv" in stopped.stderr
    assert not folder.exists()
    built = videopath("knowledge", "build", folder, source, "--on-error", "skip", "--json")
    assert json.loads(built.stdout)["records"] == 2
    assert "Line 3 of cases.csv" in built.stderr
    assert "1 damaged entry was skipped." in built.stderr
    source.write_text("id,description\n" + "b,\n" * 12 + "d,Mucin\n")
    assert videopath("knowledge", "add", folder, source).exit_code == 1
    added = videopath("knowledge", "add", folder, source, "--on-error", "skip")
    assert added.stderr.count("Skipped: ") == 10
    assert "12 damaged entries were skipped." in added.stderr
    assert videopath("knowledge", "add", folder, source, "--on-error", "guess").exit_code == 2


def test_knowledge_is_audited(videopath: Run, tmp_path: Path) -> None:
    source, other = tmp_path / "cases.csv", tmp_path / "test.csv"
    source.write_text(
        "id,source,description\na,one.mp4,Crowded glands\nb,two.mp4,Nests of [b]small[/b] cells\n"
    )
    other.write_text(
        "id,source,description\nx,clips/ONE.mov,Papillae\ny,three.mp4,nests of [b]small[/b] cells.\n"
    )
    folder = tmp_path / "knowledge"
    assert videopath("knowledge", "build", folder, source).exit_code == 0
    told = videopath("knowledge", "audit", other, folder, "--json")
    assert told.exit_code == 1
    assert [(o["reason"], o["test"], o["base"]) for o in json.loads(told.stdout)] == [
        ("source", "x", "a"),
        ("text", "y", "b"),
    ]
    shown = videopath("knowledge", "audit", other, folder)
    assert shown.exit_code == 1
    assert "Nests of [b]small[/b] cells" in shown.stdout
    assert "2 of 2 test records overlap with 2 records: source 1, text 1." in shown.stdout
    assert videopath("knowledge", "audit", folder, folder).exit_code == 1
    other.write_text("id,description\nz,Keratin pearls\nw,\n")
    assert videopath("knowledge", "audit", other, folder).exit_code == 1
    clean = videopath("knowledge", "audit", other, folder, "--on-error", "skip", "--json")
    assert (clean.exit_code, json.loads(clean.stdout)) == (0, [])
    assert "1 damaged entry was skipped." in clean.stderr
    assert videopath("knowledge", "audit", source, folder, "--near", "2").exit_code == 2
    assert videopath("knowledge", "audit", other, tmp_path / "none").exit_code == 1
    assert videopath("knowledge", "audit", tmp_path / "none", folder).exit_code == 2


def test_knowledge_is_updated_and_its_versions_are_told(videopath: Run, tmp_path: Path) -> None:
    source, folder = tmp_path / "cases.csv", tmp_path / "knowledge"
    source.write_text("id,description,diagnosis\na,Crowded glands,x\nb,Nests of small cells,y\n")
    assert videopath("knowledge", "build", folder, source).exit_code == 0
    source.write_text("id,description,diagnosis\nb,Lakes of mucin,z\n")
    assert videopath("knowledge", "update", folder, source, "--note", "read again").exit_code == 0
    found = videopath("knowledge", "search", "mucin", "-k", folder, "-n", "1")
    assert "z" in found.stdout
    assert "ranks: text 1, lexical 1" in found.stdout
    assert videopath("knowledge", "remove", folder, "a", "--yes").exit_code == 0
    assert videopath("knowledge", "merge", folder).exit_code == 0
    told = json.loads(videopath("knowledge", "log", folder, "--json").stdout)
    assert [(c["version"], c["action"], c["records"]) for c in told] == [
        (4, "merge", 1),
        (3, "remove", 1),
        (2, "update", 2),
        (1, "build", 2),
    ]
    assert "read again" in videopath("knowledge", "log", folder).stdout
    missing = videopath("knowledge", "update", folder, tmp_path / "none.csv")
    assert missing.exit_code == 2
    source.write_text("id,description\nc,Bone\n")
    unknown = videopath("knowledge", "update", folder, source)
    assert unknown.exit_code == 1
    assert "no record 'c'" in unknown.stderr
    nothing = videopath("knowledge", "build", tmp_path / "other")
    assert nothing.exit_code == 2
    assert "name files of instruction data, or add --cases" in nothing.stderr


def test_what_may_not_be_seen_is_left_out(videopath: Run, tmp_path: Path) -> None:
    source, folder = tmp_path / "cases.csv", tmp_path / "knowledge"
    source.write_text(
        "id,description,patient,group\na,Crowded glands,P1,\nb,Crowded glands,P2,G\nc,Glands,,\n"
    )
    assert videopath("knowledge", "build", folder, source).exit_code == 0
    asked = ("knowledge", "search", "glands", "-k", folder, "--exclude", "p1", "--exclude", "g")
    found = json.loads(videopath(*asked, "--json").stdout)
    assert [hit["record"]["id"] for hit in found["hits"]] == ["c"]
    assert [(e["id"], e["reason"]) for e in found["excluded"]] == [("a", "patient"), ("b", "group")]
    assert "Records excluded: 2" in videopath(*asked).stdout


def test_pictures_are_built_in_searched_and_audited(videopath: Run, tmp_path: Path) -> None:
    """With the real nano: the same picture, brightened and under another name, comes first and is found by the audit."""
    rng = np.random.default_rng(0)
    media = tmp_path / "media"
    media.mkdir()
    for name in ("a", "b", "c"):
        coarse = Image.fromarray(rng.integers(60, 255, (7, 7, 3), dtype=np.uint8))
        coarse.resize((224, 224), Image.Resampling.BICUBIC).save(media / f"{name}.png")
    source, folder = tmp_path / "cases.csv", tmp_path / "knowledge"
    rows = "".join(f"{name},Field {name},{name}.png\n" for name in "abc")
    source.write_text("id,description,media\n" + rows + "d,Field d,\n")
    built = videopath("knowledge", "build", folder, source, "--media", media, "--json")
    assert built.exit_code == 0, built.stderr
    info = json.loads(built.stdout)
    assert info["image_encoder"]["name"] == "tower:nano"
    assert info["index"] == {"text": ["exact, 4 vectors"], "image": ["exact, 3 vectors"]}
    copy = tmp_path / "elsewhere" / "copy.jpg"
    copy.parent.mkdir()
    Image.open(media / "b.png").save(copy, quality=80)
    found = json.loads(videopath("knowledge", "search", "--image", copy, "-k", folder, "--json").stdout)
    assert found["views"] == ["image"]
    assert found["hits"][0]["record"]["id"] == "b"
    assert found["hits"][0]["score"] > 0.99
    test_set = tmp_path / "test.csv"
    test_set.write_text("id,description,media\nt,Something else,copy.jpg\n")
    told = videopath("knowledge", "audit", test_set, folder, "--media", copy.parent, "--json")
    assert [(o["reason"], o["base"]) for o in json.loads(told.stdout)] == [("near-identical frame", "b")]
    source.write_text("id,description,media\ne,Field e,../elsewhere/copy.jpg\n")
    out_of_it = videopath("knowledge", "add", folder, source, "--media", media)
    assert out_of_it.exit_code == 1
    assert "'e' cannot be seen" in out_of_it.stderr
    text_only = tmp_path / "words"
    assert videopath("knowledge", "build", text_only, test_set).exit_code == 0
    refused = videopath("knowledge", "search", "--image", copy, "-k", text_only)
    assert refused.exit_code == 2
    assert "has no pictures" in refused.stderr


def test_the_commands_of_its_page_run(
    videopath: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Path(__file__).resolve().parents[2] / "docs/how-to/knowledge-base.md"
    blocks = [block.split("```")[0] for block in page.read_text(encoding="utf-8").split("```bash\n")[1:]]
    rng = np.random.default_rng(0)
    for folder in ("videos", "test-videos"):
        (tmp_path / folder).mkdir()
    for path in ("videos/a.png", "videos/b.png", "test-videos/t.png", "frame.png"):
        coarse = Image.fromarray(rng.integers(60, 255, (7, 7, 3), dtype=np.uint8))
        coarse.resize((224, 224), Image.Resampling.BICUBIC).save(tmp_path / path)
    turns = [
        {"from": "human", "value": "<image>\nWhat is the best diagnosis for this colon tissue?"},
        {"from": "gpt", "value": "Crowded glands with necrosis. Diagnosis: colon adenocarcinoma"},
    ]
    asked = [{"id": "c1", "image": "a.png", "conversations": turns}]
    (tmp_path / "conversations.json").write_text(json.dumps(asked))
    (tmp_path / "table.csv").write_text("id,description,media,patient\nt1,Nests,b.png,PATIENT-7\n")
    (tmp_path / "more.jsonl").write_text(json.dumps(asked[0] | {"id": "c2", "image": "b.png"}) + "\n")
    (tmp_path / "corrected.csv").write_text("id,description\nt1,Nests of small cells\n")
    (tmp_path / "test-set.json").write_text(json.dumps([asked[0] | {"id": "q", "image": "t.png"}]))
    monkeypatch.chdir(tmp_path)
    lines = [
        line for block in blocks for line in block.splitlines() if line.startswith("videopath knowledge ")
    ]
    lines = [line for line in lines if "--model" not in line]  # it takes thirty cases
    assert len(lines) >= 10
    for line in (line.replace("RECORD_ID", "t1") for line in lines):
        answer = videopath(*shlex.split(line, comments=True)[1:])
        assert answer.exit_code == (1 if " audit " in line else 0), (line, answer.stderr)  # the same words


def test_no_model_is_loaded_because_a_knowledge_base_names_it(
    videopath: Run,
    tmp_path: Path,
    small_checkpoint: Path,
    small_case: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, media, folder = tmp_path / "a.json", small_case.parent, tmp_path / "base"
    turns = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "Glands."}]
    source.write_text(json.dumps([{"id": "1", "video": small_case.name, "conversations": turns}]))
    encoder = f"tower:{small_checkpoint}"
    licence = ("--licence", "CC0")
    built = videopath(
        "knowledge", "build", folder, source, "--media", media, "--image-encoder", encoder, *licence
    )
    assert built.exit_code == 0, built.stderr
    asking = ("knowledge", "search", "--image", small_case, "-k", folder)
    for command in (
        asking,
        ("knowledge", "add", folder, source, "--media", media, *licence),
        ("knowledge", "update", folder, source, "--media", media, *licence),
        ("knowledge", "audit", source, folder, "--media", media),
    ):
        refused = videopath(*command)
        assert refused.exit_code == 2
        assert f"--image-encoder {encoder}" in refused.stderr
    assert videopath(*asking, "--image-encoder", encoder).exit_code == 0
    monkeypatch.setenv("VIDEOPATH_MODEL", str(small_checkpoint))
    assert videopath(*asking).exit_code == 0
