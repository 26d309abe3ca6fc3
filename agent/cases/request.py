"""The request for a case: the video, what is known of it, and which part of it to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from videopath.agent.cases.library import new_case_id
from videopath.agent.cases.records import CaseReport, RunSettings
from videopath.agent.graph.state import CaseInput
from videopath.core.choices import WRITING_RULES, WritingRule
from videopath.core.errors import InputError
from videopath.core.pathology.sites import canonical_site
from videopath.core.privacy.paths import find_path, screened_label, screened_path
from videopath.core.privacy.personal import screened_text
from videopath.core.text import has_half_characters, refuse_unwritable
from videopath.media.crop import Crop, as_shares, checked_crop, in_pixels
from videopath.media.masks import Masks

MAX_QUESTION = 2000  # characters
MAX_UM_PER_PIXEL = 1000.0  # a pixel of one millimetre


@dataclass(frozen=True)
class CaseRequest:
    """What the agent is asked to diagnose. The fields are checked by :meth:`inputs`, when the case is entered."""

    video: str | Path
    """A video file, an image, or a folder of frames."""
    question: str | None = None
    """None asks for the best diagnosis. At most 2,000 characters."""
    site: str | None = None
    """Where in the body the tissue comes from; None if it is not known."""
    start: float | None = None
    """First second of the segment; None: the beginning."""
    end: float | None = None
    """Last second of the segment; None: the end."""
    sampling: str = "uniform"
    """Which frames become the clip: "uniform", "fps" or "keyframes"."""
    exclude: Sequence[str] = ()
    """Sources, patients or groups whose records may not be used. The video itself is always excluded."""
    case_id: str = field(default_factory=new_case_id)
    writing: WritingRule | None = None
    """Which burned-in writing is filled before anything sees the frames; None: the agent's rule."""
    crop: Sequence[float] | None = None
    """The part of each frame to look at: left, top, right, bottom as shares, or in pixels if one of them is above 1."""
    um_per_pixel: float | None = None
    """Micrometres of tissue per pixel of the source, for lengths and the scale bar; None: not known."""
    masks: Masks | None = None
    """A person's changes to the filled places: further ones, and found ones that stay readable; None: none."""

    @classmethod
    def of(cls, report: CaseReport, case_id: str) -> CaseRequest:
        """Return the request that asks for the case of a report again, under ``case_id``.

        The writing of a case of before writing was filled is filled now, by the agent's rule.

        Raises:
            InputError: The case of the report ended before its video was read.
        """
        if report.video is None:
            raise InputError(f"Case {report.case_id} ended before its video was read: it cannot be repeated.")
        settings = report.settings
        return cls(
            video=report.video.path,
            question=report.question,
            site=report.site,
            start=settings.start,
            end=settings.end,
            sampling=settings.sampling,
            exclude=settings.exclude,
            case_id=case_id,
            writing=settings.writing if "rule" in report.burned_in else None,
            crop=settings.crop,
            um_per_pixel=settings.um_per_pixel,
            masks=settings.masks,
        )

    def inputs(self, settings: RunSettings) -> CaseInput:
        """Return the checked inputs of the graph.

        Args:
            settings: The agent's settings; the segment, the sampling, the exclusions, the crop, the masks and the rule
                for writing of this request are set in a copy of them.

        Raises:
            InputError: The video does not exist, the site is not known, or the question, an exclusion, the crop, a mask
                or the rule for writing cannot be used.
        """
        path = find_path(Path(self.video).expanduser())
        if not path.exists():
            raise InputError(
                f"There is no file or folder {screened_path(path)}: give the path of a video, an image or a folder of frames."
            )
        refuse_unwritable(path.resolve(), "the video")
        changes = {
            "start": self.start,
            "end": self.end,
            "sampling": self.sampling,
            "exclude": _checked_names(self.exclude),
            "crop": None if self.crop is None else _crop_of(path, self.crop),
            "um_per_pixel": _checked_scale(self.um_per_pixel),
            "writing": settings.writing if self.writing is None else _checked_rule(self.writing),
            "masks": _masks_of(path, self.masks),
        }
        return CaseInput(
            video=str(screened_path(path.resolve())),
            site=canonical_site(self.site) if self.site else None,
            question=None if self.question is None else checked_question(self.question),
            case_id=self.case_id,
            settings=settings.model_copy(update=changes).model_dump(mode="json"),
        )


def _crop_of(video: Path, crop: Sequence[float]) -> Crop:
    """Return a crop as shares of the video's frame; the video is opened only if the crop is in pixels."""
    from videopath.media.clip import open_source

    crop = checked_crop(crop)
    if not in_pixels(crop):
        return crop
    source = open_source(video)
    return as_shares(crop, source.width, source.height)


def _masks_of(video: Path, masks: Masks | None) -> Masks | None:
    """Return masks as shares of the video's frame; the video is opened only if they are in pixels."""
    from videopath.media.clip import open_source

    if not masks or not masks.in_pixels:
        return masks or None
    source = open_source(video)
    return masks.as_shares(source.width, source.height)


def _checked_scale(um_per_pixel: float | None) -> float | None:
    if um_per_pixel is not None and not 0 < um_per_pixel < MAX_UM_PER_PIXEL:
        raise InputError(
            f"The scale {um_per_pixel:g} µm per pixel is not possible: give a number above 0 and below "
            f"{MAX_UM_PER_PIXEL:g}."
        )
    return um_per_pixel


def _checked_rule(rule: str) -> str:
    if rule not in WRITING_RULES:
        raise InputError(
            f"The rule {rule!r} for writing is not known; use one of: {', '.join(WRITING_RULES)}."
        )
    return rule


def _checked_names(exclude: Sequence[str]) -> list[str]:
    """Return the names to exclude, each once, without blank ones; a person's data is replaced by its hash."""
    if any(has_half_characters(name) for name in exclude):
        raise InputError("A name to exclude has a character that is not valid; leave it out.")
    return list(dict.fromkeys(screened_label(name.strip()) for name in exclude if name.strip()))


def checked_question(question: str) -> str:
    """Return a question without spaces around it; a person's data in it is masked, as in ``MRN [record number]``.

    Raises:
        InputError: It is empty, too long, or has half characters.
    """
    if not question.strip():
        raise InputError("The question is empty: ask one, or leave it out for the best diagnosis.")
    if len(question) > MAX_QUESTION:
        raise InputError(
            f"The question has {len(question):,} characters; at most {MAX_QUESTION:,} are allowed."
        )
    if has_half_characters(question):
        raise InputError("The question has a character that is not valid; leave it out.")
    return screened_text(question.strip()).text
