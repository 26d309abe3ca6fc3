"""The MCP server over HTTP with the official client: tokens, every tool, resources with their hashes, cancellation."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from videopath.agent.cases.bundle import read_bundle
from videopath.core.notice import RESEARCH_USE

pytest.importorskip("mcp", reason="the MCP server needs the extra mcp")

_TOOLS = {
    "describe_tissue", "retrieve_similar_cases", "diagnose_tissue", "diagnose_case", "ask_case", "list_cases", "get_report",
}  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_tools_and_templates_are_listed_for_new_and_old_clients(connect: Any, mode: str) -> None:
    with connect(mode=mode) as client:
        tools = {tool.name: tool for tool in client.run("list_tools").tools}
        templates = client.run("list_resource_templates").resource_templates
    assert set(tools) == _TOOLS
    for tool in tools.values():
        assert tool.output_schema["properties"]["notice"]["default"] == RESEARCH_USE
        assert len(tool.description) < 500
        assert all("description" in one for one in tool.input_schema["properties"].values()), tool.name
    addresses = {one.uri_template.removeprefix("videopath://case/{case_id}/") for one in templates}
    assert addresses == {
        "report.md", "report.html", "report.json", "trace.jsonl", "questions.jsonl", "manifest.json", "bundle.zip", "frame/{number}.png",
    }  # fmt: skip


def test_a_wrong_token_and_a_foreign_page_are_refused(http_server: str) -> None:
    import httpx2

    request = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    own = {
        "Authorization": "Bearer a-token-that-only-the-tests-have",
        "Accept": "application/json, text/event-stream",
    }

    def status(headers: dict[str, Any]) -> int:
        return httpx2.post(http_server, json=request, headers=headers).status_code

    assert status({}) == 401
    for wrong in (
        b"Bearer a-token-that-only-the-tests-havE",
        b"Bearer \xe9",
        b"Basic a-token-that-only-the-tests-have",
    ):
        assert status({**own, "Authorization": wrong}) == 401
    assert status({**own, "Origin": "http://example.org"}) == 403
    assert status({**own, "Host": "example.org"}) == 421
    assert status({**own, "Host": "127.0.0.1:1"}) == 421
    assert status(own) < 401


def test_errors_are_one_sentence(http: Any, folders: SimpleNamespace) -> None:
    for name in (str(folders.secret), "../outside/secret.mp4", "link.mp4", "~/secret.mp4"):
        assert "outside of the allowed folders" in http.error("describe_tissue", video=name)
        assert "outside of the allowed folders" in http.error("diagnose_case", video=name, case_id="never")
    assert (
        http.error("describe_tissue", video="none.mp4")
        == "There is no file or folder none.mp4 in the allowed folders."
    )
    assert http.error("describe_tissue", video=" ").startswith("The video has no name")
    assert "did you mean" in http.error("describe_tissue", video="case.mp4", site="kolon")
    assert "takes no argument 'sight'" in http.error("describe_tissue", video="case.mp4", sight="colon")
    assert "video: Field required" in http.error("describe_tissue")
    assert "frames: Input should be" in http.error("describe_tissue", video="case.mp4", frames=0)
    assert "must be after the start" in http.error("describe_tissue", video="case.mp4", start=1, end=0.5)
    assert "nothing to search for" in http.error("retrieve_similar_cases")
    assert "There is no tool 'sign_case'" in http.error("sign_case", case_id="x")
    assert "the id of a case" in http.error("diagnose_case")
    for tool in ("get_report", "diagnose_case"):
        assert "There is no case unknown" in http.error(tool, case_id="unknown")
    assert "There is no case unknown" in http.error(
        "ask_case", case_id="unknown", question="Is there necrosis?"
    )
    assert "is not a case id" in http.error("diagnose_case", video="case.mp4", case_id="../up")
    assert "never" not in json.dumps(http.tool("list_cases")["cases"]), "a refused video leaves no case"


def test_an_unknown_resource_is_refused(http: Any) -> None:
    from mcp import MCPError

    with pytest.raises(MCPError, match="There is no case unknown"):
        http.run("read_resource", "videopath://case/unknown/report.md")
    with pytest.raises(MCPError):
        http.run("read_resource", "videopath://case/unknown/..%2F..%2Fcases.sqlite")


@pytest.mark.slow
def test_pictures_of_no_tissue_are_refused(http: Any, folders: SimpleNamespace) -> None:
    from PIL import Image

    Image.radial_gradient("L").convert("RGB").resize((400, 400)).save(folders.videos / "grey.png")
    assert "histology" in http.error("describe_tissue", video="grey.png")
    assert "histology" in http.error("diagnose_case", video="grey.png")


@pytest.mark.slow
def test_every_tool_and_resource_of_a_case(
    http: Any, folders: SimpleNamespace, resource: Callable[..., tuple[bytes, dict[str, Any]]]
) -> None:
    described = http.tool("describe_tissue", video="case.mp4", site="colon")
    assert described["description"]
    assert all(
        one["moment"] == "" or one["rests_on"] in ("measured", "seen") for one in described["findings"]
    )
    found = http.tool(
        "retrieve_similar_cases",
        description=described["description"],
        video="case.mp4",
        site="colon",
        limit=2,
    )
    records = [one["id"] for one in found["cases"] if one["kept"]]
    once = http.tool(
        "diagnose_tissue",
        video="case.mp4",
        description=described["description"],
        site="colon",
        similar_cases=records,
    )
    assert "Nobody vouches" in once["limits"][0]
    assert any(f"neighbour:{records[0]}" in one["support"] for one in once["differential"])
    assert "has no record 'none'" in http.error(
        "diagnose_tissue", video="case.mp4", description="x", similar_cases=["none"]
    )

    outcome, messages = http.steps(video="case.mp4", site="colon")
    case_id = outcome["case_id"]
    assert messages[0] == f"Case {case_id}"
    steps = [json.loads(line)["name"] for line in _text(resource, http, case_id, "trace.jsonl").splitlines()]
    assert [message.split(":")[0] for message in messages[1:]] == steps
    assert outcome["status"] == "done"
    assert (outcome["diagnosis"], outcome["by"]) == ("colon adenocarcinoma", "agent")
    assert outcome["vouchers"]

    asked = http.tool("ask_case", case_id=case_id, question="What do the glands look like?")
    assert asked["answer"]
    assert asked["part_of_the_diagnosis"] is False
    report = http.tool("get_report", case_id=case_id)
    assert report["markdown"] == _text(resource, http, case_id, "report.md")
    listed = http.tool("list_cases", state="done", site="colon")
    assert [row["case_id"] for row in listed["cases"]] == [case_id]
    for result in (described, found, once, outcome, asked, report, listed):
        assert result["notice"] == RESEARCH_USE
        assert str(folders.home.parent) not in json.dumps(result), "no path of the server is given away"

    files = {file["uri"].removeprefix(f"videopath://case/{case_id}/"): file for file in report["files"]}
    frames = [name for name in files if name.startswith("frame/")]
    assert frames
    assert {
        "report.md",
        "report.json",
        "trace.jsonl",
        "questions.jsonl",
        "manifest.json",
        "bundle.zip",
    } < set(files)
    contents = {}
    for name, file in files.items():
        contents[name], meta = resource(http, file["uri"])
        assert hashlib.sha256(contents[name]).hexdigest() == file["sha256"] == meta["sha256"], name
        assert (len(contents[name]), meta["notice"]) == (file["size"], RESEARCH_USE)
    manifest = json.loads(contents["manifest.json"])["files"]
    assert manifest["report.md"] == files["report.md"]["sha256"]
    assert {manifest[name] for name in manifest if name.startswith("frames/")} == {
        files[name]["sha256"] for name in frames
    }
    (folders.home.parent / "case.zip").write_bytes(contents["bundle.zip"])
    assert read_bundle(folders.home.parent / "case.zip").problems == []
    assert zipfile.ZipFile(BytesIO(contents["bundle.zip"])).testzip() is None


def _text(resource: Callable[..., tuple[bytes, dict[str, Any]]], client: Any, case_id: str, name: str) -> str:
    return resource(client, f"videopath://case/{case_id}/{name}")[0].decode()


@pytest.mark.slow
def test_a_case_that_is_cancelled_in_the_middle_is_resumed(
    http: Any, resource: Callable[..., tuple[bytes, dict[str, Any]]]
) -> None:
    outcome, before = http.steps(video="case.mp4", site="colon", case_id="stopped", stop_at=2)
    assert outcome is None
    http.wait_until("stopped", "interrupted")
    assert "no report yet" in http.error("get_report", case_id="stopped")
    outcome, after = http.steps(case_id="stopped")
    assert outcome["status"] == "done"
    assert before[0] == after[0] == "Case stopped"
    names = [message.split(":")[0] for message in (*before[1:], *after[1:])]
    trace = _text(resource, http, "stopped", "trace.jsonl")
    assert names == [json.loads(line)["name"] for line in trace.splitlines()], "no finished step is repeated"
    again, messages = http.steps(case_id="stopped", video="case.mp4")
    assert (again["diagnosis"], messages) == (outcome["diagnosis"], ["Case stopped"])
