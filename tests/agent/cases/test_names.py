"""A case of a file with a patient's name and number, in its name and in its tags: none of it is stored anywhere."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from pypdf import PdfReader

from videopath.agent import DiagnosticAgent, Policy
from videopath.agent.cases.learning import add_to_knowledge
from videopath.agent.replay import replay
from videopath.app.web.runtime.playable import playable
from videopath.app.web.runtime.uploads import save_upload
from videopath.core.errors import VideoPathError

POLICY = Policy(max_looks=0, description_tokens=8, answer_tokens=8)
SECRETS = (
    b"4839201",
    b"doe john",
    b"doe_john",
    b"doe^john",
    b"dr. feelgood",
    b"wannsee",
    b"+52.4212",
    b"smith",
)


def traces_of_the_patient(folder: Path) -> dict[str, list[bytes]]:
    """Return what of the patient stands in names and bytes of the files in a folder, archives and PDFs unpacked."""
    found = {}
    for path in folder.rglob("*"):
        data = [str(path.relative_to(folder)).encode()]
        if path.is_file():
            data += list(_contents(path))
        if known := [secret for secret in SECRETS if any(secret in one.lower() for one in data)]:
            found[str(path)] = known
    return found


def _contents(path: Path) -> Iterator[bytes]:
    yield path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield archive.read(name)
    if path.suffix == ".pdf":
        pdf = PdfReader(io.BytesIO(path.read_bytes()))
        yield str(pdf.metadata).encode()
        yield "\n".join(page.extract_text() for page in pdf.pages).encode()


@pytest.fixture
def named_video(small_case: Path, tmp_path: Path) -> Path:
    """The small case under a patient's name, with a title, an author and a place, in a folder with a name."""
    video = tmp_path / "raw" / "Smith John 1962-04-11" / "MRN 4839201 DOE JOHN.mp4"
    video.parent.mkdir(parents=True)
    with av.open(str(small_case)) as source, av.open(str(video), "w") as target:
        target.metadata.update(
            {
                "title": "MRN 4839201 DOE JOHN",
                "artist": "Dr. Feelgood, Wannsee",
                "location": "+52.4212+013.1693/",
            }
        )
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return video


@pytest.mark.slow
def test_a_patients_name_is_never_stored_and_the_case_goes_on(
    named_video: Path, small_checkpoint: Path, own_home: Path, tmp_path: Path
) -> None:
    assert traces_of_the_patient(named_video.parent)  # what the test looks for can be found
    out = tmp_path / "out"
    with DiagnosticAgent.load(small_checkpoint, review="always", policy=POLICY, writing="keep") as agent:
        waiting = agent.diagnose(
            named_video, site="colon", case_id="named", exclude=["DOE^JOHN", str(named_video)]
        )
        assert waiting.status == "waiting for review"
    assert waiting.video.path != str(named_video)
    assert traces_of_the_patient(own_home) == {}
    with DiagnosticAgent.load(
        small_checkpoint, review="always", policy=POLICY, writing="keep"
    ) as agent:  # as after a kill
        report = agent.resume(
            "named",
            {
                "action": "edit",
                "reviewer": "A. Reader",
                "diagnosis": "colon adenocarcinoma",
                "description": "Crowded glands.",
            },
        )
        assert report.status == "signed"
        assert agent.diagnose(waiting.video.path, site="colon").video.sha256 == report.video.sha256
        for form in ("zip", "pdf", "html", "md", "json"):
            agent.library.export("named", out / f"case.{form}", form, with_paths=True)
    add_to_knowledge(report, out / "knowledge", patient="MRN 4839201")
    intake = report.steps[0].detail
    assert {"title", "artist", "location"} <= {field["name"] for field in intake["metadata"]}
    assert "an author and a place" in intake["metadata_sentence"]
    assert replay(out / "case.zip", named_video, model=small_checkpoint).report.diagnosis
    assert traces_of_the_patient(own_home) == traces_of_the_patient(out) == {}


def test_a_case_that_fails_says_no_name(named_video: Path, small_checkpoint: Path, own_home: Path) -> None:
    named_video.write_bytes(named_video.read_bytes()[:2000])
    with (
        DiagnosticAgent.load(small_checkpoint, policy=POLICY, writing="keep") as agent,
        pytest.raises(VideoPathError, match="name-") as error,
    ):
        agent.diagnose(named_video, site="colon", case_id="damaged")
    assert "4839201" not in str(error.value)
    assert traces_of_the_patient(own_home) == {}


def test_copies_and_uploads_of_the_page_carry_no_name(named_video: Path, tmp_path: Path) -> None:
    turned = named_video.with_suffix(".mkv")  # no browser plays it: it is copied
    turned.write_bytes(named_video.read_bytes())
    copy = playable(turned, tmp_path / "cache")
    assert copy.parent == tmp_path / "cache"
    assert traces_of_the_patient(copy.parent) == {}
    with av.open(str(copy)) as container:
        assert {"title", "artist", "location"}.isdisjoint(container.metadata)
    upload = save_upload("C:\\scans\\MRN 4839201 DOE^JOHN.MP4", io.BytesIO(b"x"), tmp_path / "upload")
    assert upload.name.startswith("name-")
    assert upload.suffix == ".mp4"
    assert save_upload("lecture 3.mp4", io.BytesIO(b"x"), tmp_path / "upload").name == "lecture 3.mp4"
