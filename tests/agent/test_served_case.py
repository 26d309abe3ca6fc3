"""A whole case through a served model: few requests, and the trace says where frames went."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures.model_server import ScriptedServer

from videopath import DiagnosticAgent

pytestmark = pytest.mark.slow

_MOST_REQUESTS = 12
_ANSWER = {
    "findings": ["Crowded irregular glands with hyperchromatic nuclei.", "Desmoplastic stroma."],
    "diagnosis": "colon adenocarcinoma",
    "rationale": "Irregular glands infiltrate the stroma.",
}
_SERVERS = {
    "letters": {"top_logprobs": 20},
    "letters and prompts": {"top_logprobs": 20, "prompt_logprobs": True},
    "several answers": {"several": True},
}


@pytest.mark.parametrize("kind", _SERVERS)
def test_a_case_needs_few_requests_and_names_the_address(
    serve: Callable[..., ScriptedServer], small_case: Path, kind: str
) -> None:
    server = serve(**_SERVERS[kind], answer=json.dumps(_ANSWER))
    report = DiagnosticAgent.load(model=server.name).diagnose(str(small_case), site="colon")
    assert report.status in ("done", "abstained")
    labels = [candidate.label for candidate in report.differential]
    assert "colon adenocarcinoma" in labels
    assert len(labels) > 1
    assert len(server.requests) <= _MOST_REQUESTS
    assert server.address in report.model_dump_json()
    frames = {json.dumps(one.content[:-1]) for one in server.chats if one.body.get("stream")}
    assert len(frames) == 1
