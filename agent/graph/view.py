"""Typed views on the JSON state of a case: the state keeps plain JSON, the code reads records."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from videopath.agent.cases.records import Decision, RunSettings, SecondOpinion, Step, VideoFacts, Voucher
from videopath.agent.graph.state import Json, Look
from videopath.agent.policy import Policy
from videopath.model.calibration import Calibration
from videopath.model.inference.engine import EngineInfo
from videopath.tools.schemas import ClipInput, DescribeResult, DiagnoseResult, RetrieveResult, with_rule


class LookView:
    """One look, read from its JSON.

    Args:
        data: The look as it stands in the state.
        model_is_calibrated: Whether the case's model has a fitted confidence. It counts for looks of earlier
            versions, which do not say so themselves.
    """

    def __init__(self, data: Look, model_is_calibrated: bool = False) -> None:
        self.data = data
        self.model_is_calibrated = model_is_calibrated

    @cached_property
    def request(self) -> ClipInput:
        """Which frames the look used."""
        return ClipInput.stored(self.data["request"])

    @cached_property
    def described(self) -> DescribeResult:
        """The description and its findings."""
        return DescribeResult.model_validate(self.data["described"])

    @cached_property
    def blind(self) -> DiagnoseResult:
        """The diagnosis before any similar case was seen."""
        return DiagnoseResult.model_validate(self.data["blind"])

    @cached_property
    def retrieved(self) -> RetrieveResult:
        """The similar cases, and what they voted."""
        return RetrieveResult.model_validate(self.data["retrieved"])

    @cached_property
    def final(self) -> DiagnoseResult:
        """The diagnosis with the similar cases as evidence, fused with their vote."""
        return DiagnoseResult.model_validate(self.data["final"])

    @cached_property
    def vouchers(self) -> list[Voucher]:
        """Whether the model and the similar cases vouch for the diagnosis."""
        return [Voucher.model_validate(voucher) for voucher in self.data.get("vouchers", [])]

    @cached_property
    def second(self) -> SecondOpinion | None:
        """What the second model said of the same frames; None if the case asks for no second opinion."""
        return _second_opinion(self.data.get("second"))

    @property
    def is_contradicted(self) -> bool:
        """Whether the second model has another diagnosis."""
        return self.second is not None and self.second.contradicts

    @property
    def label(self) -> str:
        """The label of the final diagnosis."""
        return self.data["final"]["label"]

    @property
    def features(self) -> dict[str, float]:
        """The numbers from which the confidence was computed, each in [0, 1]."""
        return self.data["features"]

    @property
    def confidence(self) -> float:
        """In [0, 1]; a probability only if :attr:`is_calibrated`."""
        return self.data["confidence"]

    @property
    def reasons(self) -> list[str]:
        """Why the agent abstains on this look; empty if it does not."""
        return self.data["reasons"]

    @property
    def closer_may_help(self) -> bool:
        """Whether a closer look may settle what this one did not."""
        return self.data["closer"]

    @property
    def revision(self) -> int:
        """How many revisions of a person came before it."""
        return self.data.get("revision", 0)

    @property
    def is_corrected(self) -> bool:
        """Whether its description differs from the one that the blind diagnosis rests on."""
        return self.data.get("corrected", False)

    @property
    def is_calibrated(self) -> bool:
        """Whether the confidence is a probability: fitted for the model, or measured on the cases that vouch."""
        return self.data.get("calibrated", self.model_is_calibrated)


class StateView:
    """The state of a case, read from its JSON. A property raises ``KeyError`` until its node has finished.

    Args:
        state: The state as the graph or a checkpoint holds it; it is never changed.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self.state = state

    @property
    def case_id(self) -> str:
        """The id of the case."""
        return self.state["case_id"]

    @property
    def video(self) -> str:
        """The whole path of the video."""
        return self.state["video"]

    @property
    def created(self) -> str:
        """When intake started, ISO 8601 in UTC."""
        return self.state["created"]

    @property
    def site(self) -> str | None:
        """The canonical site; None if it was not given."""
        return self.state["site"]

    @property
    def question(self) -> str | None:
        """The question; None if none was asked."""
        return self.state["question"]

    @cached_property
    def settings(self) -> RunSettings:
        """The settings that the case was started with."""
        return RunSettings.stored(self.state["settings"])

    @cached_property
    def policy(self) -> Policy:
        """The policy that the case was started with."""
        return Policy.model_validate(self.settings.policy)

    @cached_property
    def facts(self) -> VideoFacts:
        """The source, with the frames of the first clip."""
        return VideoFacts.model_validate(self.state["facts"])

    @property
    def quality(self) -> Json:
        """Verdict, sentences and measures of the quality gate."""
        return self.state["quality"]

    @property
    def knowledge(self) -> Json:
        """The hashes of the knowledge base that was searched."""
        return self.state["knowledge"]

    @cached_property
    def engine(self) -> EngineInfo | None:
        """The model that the case was started with; None until the model has described the video."""
        return EngineInfo.model_validate(self.state["engine"]) if "engine" in self.state else None

    @property
    def model(self) -> EngineInfo:
        """The model of a case that was described.

        Raises:
            KeyError: The model was not asked yet.
        """
        if self.engine is None:
            raise KeyError("engine")
        return self.engine

    @property
    def unknown_label(self) -> str | None:
        """What the model says of tissue that it does not know; None for a model without such a label."""
        return self.model.card.unknown_label

    @cached_property
    def request(self) -> ClipInput:
        """Which frames the present look uses."""
        return ClipInput.stored(self.state["request"])

    @property
    def request_json(self) -> Json:
        """The same as JSON, as a tool takes it."""
        return with_rule(self.state["request"])

    @cached_property
    def described(self) -> DescribeResult:
        """The description of the present look."""
        return DescribeResult.model_validate(self.state["described"])

    @cached_property
    def blind(self) -> DiagnoseResult:
        """The blind diagnosis of the present look."""
        return DiagnoseResult.model_validate(self.state["blind"])

    @cached_property
    def retrieved(self) -> RetrieveResult:
        """The similar cases of the present look."""
        return RetrieveResult.model_validate(self.state["retrieved"])

    @cached_property
    def final(self) -> DiagnoseResult:
        """The model's diagnosis of the present look, before it is fused with the vote."""
        return DiagnoseResult.model_validate(self.state["final"])

    @cached_property
    def second(self) -> SecondOpinion | None:
        """What the second model said of the present look; None if the case asks for no second opinion."""
        return _second_opinion(self.state.get("second"))

    @cached_property
    def looks(self) -> list[LookView]:
        """The finished looks, in order."""
        looks = self.state.get("looks", [])
        calibrated = bool(looks) and Calibration(self.model.card.calibration).is_fitted
        return [LookView(look, calibrated) for look in looks]

    @cached_property
    def steps(self) -> list[Step]:
        """The finished steps, in order."""
        return [Step.model_validate(step) for step in self.state["steps"]]

    @cached_property
    def decisions(self) -> list[Decision]:
        """The decisions of the reviews, in order."""
        return [Decision.model_validate(decision) for decision in self.state.get("review", [])]

    @property
    def revisions(self) -> int:
        """How often a person has sent the case back."""
        return sum(decision.action == "revise" for decision in self.decisions)

    @property
    def findings_of_model(self) -> set[str]:
        """Every finding that the model itself wrote."""
        results = (step["detail"]["result"] for step in self.state["steps"] if step["name"] == "describe")
        return {finding["text"] for result in results for finding in result["findings"]}

    @property
    def blind_description(self) -> str:
        """The description that the last blind diagnosis rests on; it never has a reviewer's words."""
        blind = [step for step in self.state["steps"] if step["name"] == "diagnose_blind"]
        return blind[-1]["detail"]["description"]


def _second_opinion(data: Json | None) -> SecondOpinion | None:
    return SecondOpinion.model_validate(data) if data else None
