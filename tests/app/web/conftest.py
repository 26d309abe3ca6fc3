"""What the tests of the case review share: a library with a case in every state, and a worker with short cases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path
from subprocess import Popen
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import serving as serve
from session_tab import Tab

CASES = ("done", "abstained", "waiting", "signed", "failed", "interrupted")
"""The case ids of ``home``, each named for its state."""


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn case of three seconds that nano knows."""
    from videopath.media.synthetic import render_case

    return render_case(tmp_path_factory.mktemp("clip") / "colon case.mp4", seconds=3.0)


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory, clip: Path, nano_engine: Any) -> Path:
    """Made once; the tests get copies."""
    from videopath.agent import DiagnosticAgent, Policy
    from videopath.core.errors import InputError
    from videopath.knowledge import KnowledgeBase

    home = tmp_path_factory.mktemp("made") / "home"
    starter = KnowledgeBase.starter()

    def agent(**policy: Any) -> DiagnosticAgent:
        short = {"max_looks": 0, "samples": 1, "answer_tokens": 48, "abstain_threshold": 0.0, **policy}
        return DiagnosticAgent.load(nano_engine, starter, policy=Policy(**short), home=home)

    with agent() as plain:
        plain.diagnose(clip, site="colon", case_id="done")
        plain.diagnose(clip, site="colon", case_id="signed")
        plain.library.sign("signed", "Dr Grey", "seen at the microscope")
        blank = tmp_path_factory.mktemp("blank") / "blank.png"
        Image.fromarray(np.full((240, 320, 3), 245, np.uint8)).save(blank)
        plain.begin(blank, case_id="failed")
        with pytest.raises(InputError):
            plain.resume("failed")
        running = plain.stream(clip, site="colon", case_id="interrupted")
        list(islice(running, 2))
        running.close()
    with agent(abstain_threshold=1.0) as unsure:
        unsure.diagnose(clip, site="colon", case_id="abstained")
    with agent(review="always") as asking:
        asking.diagnose(clip, site="colon", case_id="waiting")
    return home


@pytest.fixture
def home(made_home: Path, own_home: Path) -> Path:
    """The home folder of this test, with a case in each of the states ``CASES``."""
    shutil.copytree(made_home, own_home)
    return own_home


@pytest.fixture(autouse=True)
def fresh_services() -> Iterator[None]:
    """No worker outlives its test."""
    yield
    from videopath.app.web.runtime.services import close_services

    close_services()


@pytest.fixture
def app() -> Callable[..., Any]:
    """``app("worklist", id="done")``: a page's module under ``AppTest``, not run yet, with its query parameters."""
    from streamlit.testing.v1 import AppTest

    def page(module: str) -> None:
        from importlib import import_module

        import_module(f"videopath.app.web.pages.{module}").show()

    def opened(module: str, **query: str) -> AppTest:
        test = AppTest.from_function(page, args=(module,), default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        return test

    return opened


@pytest.fixture
def worker(own_home: Path, nano_engine: Any) -> Iterator[Any]:
    """A worker on this test's home folder; nano is loaded already."""
    from videopath.app.web.runtime.worker import Worker
    from videopath.core.settings import load_settings

    made = Worker(own_home, load_settings())
    made.engines.put("nano", nano_engine)
    yield made
    made.close()


@pytest.fixture
def request_of(clip: Path) -> Callable[..., Any]:
    """``request_of("case-1", owner="a", site="lung")``: a submission for nano that asks for nothing special."""
    from videopath.agent import CaseRequest
    from videopath.app.web.runtime.worker import Submission

    def made(case_id: str, owner: str = "a", model: str = "nano", **asked: Any) -> Submission:
        return Submission(
            CaseRequest(**{"video": clip, "site": "colon", "case_id": case_id, **asked}), owner, model
        )

    return made


Serving = Callable[..., AbstractContextManager[tuple[Popen[str], int]]]


@pytest.fixture(scope="session")
def serving() -> Serving:
    """``with serving(home, *options) as (process, port)``: ``videopath app``, once it says that it listens."""
    return serve


@pytest.fixture(scope="session")
def tab_of() -> type[Tab]:
    """``with tab_of(port) as tab``: a session of a server."""
    return Tab
