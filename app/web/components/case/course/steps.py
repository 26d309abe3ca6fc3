"""The content of an opened step: prompt, raw answer, frames, scores, hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import streamlit as st

from videopath.agent import Step
from videopath.app.web.components.shared.frames import show_frames
from videopath.app.web.components.shared.tables import table
from videopath.tools.context import ranks_in_words


def show_step(step: Step) -> None:
    """Show everything in the trace of a step, the most important parts first."""
    detail = step.detail
    result: dict[str, Any] = detail.get("result") or {}
    _words(detail)
    if described := detail.get("described"):  # of the second model, which describes and diagnoses in one step
        _raw("Prompt to the model, for its description", described["call"]["prompt"])
        _raw("Description of the model", described["description"])
    if prompt := (result.get("call") or {}).get("prompt"):
        _raw("Prompt to the model", prompt)
    if answer := result.get("answer") or result.get("description"):
        _raw("Answer of the model", answer)
    if isinstance(detail.get("request"), dict):
        st.markdown("**Frames that the model saw**")
        show_frames(detail["request"])
    _scores(detail, result)
    _differences(detail.get("changes") or {})
    _facts(step)
    with st.popover("Whole step as JSON", icon=":material/data_object:"):
        st.json(step.model_dump(mode="json"), expanded=1)


def _words(detail: dict[str, Any]) -> None:
    """Sentences of the quality gate and the verification, on burned-in writing, the query, and a person's comment."""
    quality = detail.get("quality") or {}
    writing = detail.get("burned_in_text") or {}
    on_writing = [writing["sentence"]] if isinstance(writing, dict) and writing.get("sentence") else []
    sentences = [*quality.get("sentences", []), *on_writing, *detail.get("reasons", [])]
    for sentence in [*sentences, *detail.get("not_done", [])]:
        st.text(f"• {sentence}")
    if detail.get("description") and "k" in detail:
        _raw("Searched for", detail["description"])
    if detail.get("finding"):
        st.text(f"Most telling finding: {detail['finding']}")
    decision = detail.get("decision") or {}
    if decision.get("comment"):
        st.text(f"Comment: {decision['comment']}")


def _raw(title: str, text: str) -> None:
    st.markdown(f"**{title}**")
    st.code(text, language=None, wrap_lines=True)


def _scores(detail: dict[str, Any], result: dict[str, Any]) -> None:
    if findings := result.get("findings"):
        head = ("moment", "finding", "log-likelihood gain at this moment")
        _table("Findings", head, ((f"{f['seconds']:.2f} s", f["text"], f["contrast"]) for f in findings))
    if result.get("scores"):
        probability = {c["label"]: f"{c['probability']:.1%}" for c in result["differential"]}
        ranked = sorted(result["scores"].items(), key=lambda item: -item[1])
        rows = ((label, score, probability.get(label, "–")) for label, score in ranked)
        _table("Score of each candidate", ("candidate", "log-probability", "probability"), rows)
    if result.get("samples"):
        _table("Sampled answers", ("diagnosis",), ([sample] for sample in result["samples"]))
    if neighbours := result.get("neighbours"):
        similar = (
            (
                n["id"],
                n["score"],
                ranks_in_words(n.get("ranks") or {}),
                "kept" if n["kept"] else "dropped",
                n["why"],
            )
            for n in neighbours
        )
        _table("Similar cases", ("case", "similarity", "ranks", "used", "why"), similar)
    if excluded := result.get("excluded"):
        left_out = ((e["id"], e["source"], e["reason"], e["detail"]) for e in excluded)
        _table("Excluded from the search", ("case", "source", "shared", "value"), left_out)
    for note in result.get("notes", []):
        st.text(note)
    if features := detail.get("features"):
        named = [(name.replace("_", " "), value) for name, value in features.items()]
        _table("Features of the confidence", ("feature", "in [0, 1]"), named)
    if "threshold" in detail:
        confidence = detail["confidence"]
        row = ("not calibrated" if confidence is None else confidence, detail["threshold"])
        _table("Confidence", ("of this diagnosis", "threshold"), [row])


def _differences(changes: dict[str, Any]) -> None:
    if changes:
        rows = ((name, change.get("from"), change.get("to")) for name, change in changes.items())
        _table("What the reviewer changed", ("", "from", "to"), rows)


def _facts(step: Step) -> None:
    rows: list[tuple[str, Any]] = [("started", step.started), ("device", step.device)]
    if step.model:
        rows.append(("model", step.model))
    rows += [
        (f"seconds {activity}", seconds)
        for activity, seconds in step.detail.get("seconds_by_activity", {}).items()
    ]
    rows += [(f"SHA-256 of the {name}", digest) for name, digest in step.hashes.items()]
    if step.evidence:
        rows.append(("rests on", ", ".join(step.evidence)))
    _table("Run details", ("", "value"), rows)


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    st.markdown(f"**{title}**")
    table(head, [[in_words(cell) for cell in row] for row in rows])


def in_words(value: Any) -> str:
    """Return a value of a trace on one line."""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list | tuple):
        return " · ".join(map(in_words, value)) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(part)}" for name, part in value.items())
    return "–" if value in (None, "") else str(value)
