"""The export of a case: its bundle, or its report in one of the formats, with the questions that were asked afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from videopath.agent.cases.questions import questions_text
from videopath.agent.cases.records import CaseReport, FollowUp
from videopath.core.choices import ExportFormat
from videopath.core.files import write_bytes, write_text


def write_export(
    report: CaseReport, path: Path, form: ExportFormat, questions: Sequence[FollowUp], *, with_paths: bool
) -> Path:
    """Write the export of a case.

    Args:
        report: Its report.
        path: The file to write.
        form: The bundle ("zip"), or the report as "pdf", "html", "md" or "json".
        questions: Those that were asked about a signed case, which its report does not hold. They are written beside it;
            the bundle holds them itself.
        with_paths: Write whole paths, not only the names of files and folders.

    Returns:
        ``path``.
    """
    if form == "zip":
        return report.save_bundle(path, with_paths=with_paths)
    if questions:
        _write_questions(report, path, form, questions, with_paths)
    report = report if with_paths else report.without_paths()
    if form == "pdf":
        write_bytes(path, report.to_pdf(with_paths=with_paths))
    elif form == "html":
        write_text(path, report.to_html(with_paths=with_paths))
    else:
        write_text(path, report.to_markdown(with_paths=with_paths) if form == "md" else report.to_json())
    return path


def _write_questions(
    report: CaseReport, path: Path, form: ExportFormat, questions: Sequence[FollowUp], with_paths: bool
) -> None:
    from videopath.agent.cases.redaction import questions_without_paths
    from videopath.agent.report.markdown import questions_to_markdown

    listed = list(questions) if with_paths else questions_without_paths(list(questions), report)
    text = questions_text(listed) if form == "json" else questions_to_markdown(report.case_id, listed)
    write_text(questions_beside(path, form), text)


def questions_beside(path: Path, form: ExportFormat) -> Path:
    """Return the file beside the export of a signed report that holds the questions asked afterwards."""
    return path.with_name(f"{path.stem}-questions.{'jsonl' if form == 'json' else 'md'}")
