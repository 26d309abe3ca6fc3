"""A platform brings LangGraph's own PostgreSQL checkpointer, beside a library that it opened."""

from __future__ import annotations

from pathlib import Path

from fixtures.scripted import SURE, ScriptedEngine

from videopath.agent import DiagnosticAgent, Policy, load_case_library

STEPS = ["intake", "describe", "diagnose_blind", "retrieve", "diagnose", "verify", "report"]


def test_a_platforms_own_postgres_saver_holds_the_state_and_is_left_open(
    own_home: Path, postgres: str, words_alone: Path, small_case: Path
) -> None:
    from langgraph.checkpoint.postgres import PostgresSaver

    library = load_case_library()
    policy = Policy(max_looks=0, samples=1)
    with PostgresSaver.from_conn_string(postgres) as saver:
        saver.setup()
        for step in ("begin", "go on"):
            with DiagnosticAgent.load(
                ScriptedEngine(SURE), words_alone, policy=policy, library=library, checkpointer=saver
            ) as agent:
                assert agent.library is library
                if step == "begin":
                    steps = agent.stream(small_case, site="colon", case_id="case-1", writing="keep")
                    assert next(steps).name == "intake"
                    steps.close()
                    assert list(saver.list({"configurable": {"thread_id": "case-1"}}))
                else:
                    assert [one.name for one in agent.stream_resume("case-1")] == STEPS[1:]
        assert list(saver.list({"configurable": {"thread_id": "case-1"}})) == []
    assert load_case_library().entry("case-1").state == "done"
    assert not list(own_home.glob("*.sqlite*"))
