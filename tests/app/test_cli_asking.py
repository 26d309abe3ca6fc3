"""``diagnose --second-opinion`` and ``cases ask`` on the command line, with real models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import Result

from videopath.agent import CaseReport, FollowUp
from videopath.agent.cases.library import load_case_library
from videopath.app.cli.console import plain

Run = Callable[..., Result]


@pytest.mark.slow
def test_a_case_with_a_second_opinion_is_diagnosed_and_asked_about(
    videopath: Run, checkpoint: Path, sample: Path, tmp_path: Path, own_home: Path
) -> None:
    answer = videopath(
        "diagnose", sample, "--site", "colon", "--model", checkpoint, "--second-opinion", "nano", "--json"
    )
    assert answer.exit_code == 0, answer.stderr
    report = CaseReport.from_json(answer.stdout)
    case_id = report.case_id
    assert report.settings.second_opinion.model == "nano"
    assert report.second_opinion.model == "VideoPath-nano"
    assert "✓ second_opinion" in answer.stderr
    shown = " ".join(videopath("cases", "show", case_id).stdout.split())
    assert report.second_opinion.sentence in shown
    bundle = tmp_path / "case.zip"
    assert videopath("cases", "export", case_id, bundle).exit_code == 0
    replayed = videopath("cases", "replay", bundle, sample, "--model", checkpoint)
    assert replayed.exit_code == 0, replayed.stdout + replayed.stderr

    asked = videopath("cases", "ask", case_id, "How many mitoses are there?")
    assert asked.exit_code == 0, asked.stderr
    (kept,) = load_case_library().questions(case_id)
    assert plain(kept.answer).plain.splitlines()[0] in asked.stdout, (
        "control characters of the model are replaced"
    )
    assert ("Not answered: " in asked.stdout) == (not kept.answered)
    assert "small on cpu" in asked.stderr
    as_json = videopath("cases", "ask", case_id, "Describe the glands.", "--json")
    assert FollowUp.model_validate_json(as_json.stdout).question == "Describe the glands."
    assert "How many mitoses are there?" in videopath("cases", "show", case_id).stdout

    assert (
        videopath(
            "cases", "sign", case_id, "--reviewer", "A", "--diagnosis", "colon adenocarcinoma"
        ).exit_code
        == 0
    )
    signed = (own_home / "cases" / case_id / "report.json").read_bytes()
    assert videopath("cases", "ask", case_id, "Describe the stroma.").exit_code == 0
    assert (own_home / "cases" / case_id / "report.json").read_bytes() == signed
    shown = videopath("cases", "show", case_id).stdout
    assert "Questions asked afterwards" in shown
    assert "Describe the stroma." in shown
    assert json.loads(videopath("cases", "show", case_id, "--json").stdout)["questions"] == []
    written = videopath("cases", "export", case_id, tmp_path / "signed.md").stdout.split()
    assert written == [str(tmp_path / "signed.md"), str(tmp_path / "signed-questions.md")]


def test_a_setting_asks_for_a_second_opinion_and_an_empty_option_for_none(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videopath.app.cli.running import AgentOptions, chosen_spec, load_agent

    def second(option: str | None) -> str | None:
        spec = chosen_spec(device="cpu")
        with load_agent(AgentOptions(spec, second_opinion=option)) as agent:
            chosen = agent._nodes.settings.second_opinion
        assert chosen is None or chosen.device == "cpu", "the device is that of the first model"
        return chosen and chosen.model

    assert second(None) is None
    assert second("other/model") == "other/model"
    monkeypatch.setenv("VIDEOPATH_SECOND_OPINION", "lab/model")
    assert second(None) == "lab/model"
    assert second("other/model") == "other/model"
    assert second("") is None


def test_a_case_that_is_not_finished_cannot_be_asked_about(
    videopath: Run, own_home: Path, cases: SimpleNamespace
) -> None:
    load_case_library().start("begun", "case.mp4", "colon", "nano")
    answer = videopath("cases", "ask", "begun", "Is there necrosis?")
    assert answer.exit_code == 1
    assert "no report yet" in answer.stderr
