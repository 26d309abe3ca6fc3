"""Refine a recording: for each case a video of the field alone and short clips of its most telling views.

Each clip is written as a whole or not at all, and a small file beside the recording's results says what it was made from:
a clip that exists already with the same inputs is not written again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from videopath.core.files import replaced_on_success, sha256_file, sha256_text, write_text
from videopath.core.privacy.personal import screened_text
from videopath.dataset.clips.contact_sheet import SheetRow, write_contact_sheet
from videopath.dataset.clips.cursor import Template, find_cursors, read_triplets
from videopath.dataset.clips.field_box import LOOKED_AT, FieldBox, find_field, sharpened, small
from videopath.dataset.clips.key_views import key_windows
from videopath.dataset.clips.views import CaseView, Geometry, moments
from videopath.dataset.options import ClipOptions
from videopath.dataset.records import Clips, Recording, RefinedClip, Segment, Segments, StageRecord
from videopath.dataset.set_folder import SetFolder
from videopath.knowledge.index.fingerprint import fingerprints
from videopath.media.crop import Crop
from videopath.media.image.samples import fitted
from videopath.media.sampling import thumbnail
from videopath.media.video.encoding import VideoWriter
from videopath.media.video.source import VideoSource, video_source
from videopath.media.writing.film import masked_film
from videopath.media.writing.records import Writing

VERSION = 1
"""Raised when the way in which clips are made changes."""
_AWAY_FROM_CUTS = 0.3  # seconds at either end of a part that are not looked at for the field
_FULL_SIZE = 6  # frames in which the sides of a field are found to the pixel
_FINGERPRINTS = 8  # frames of a clip
_FIELD, _SEARCH = 0.1, 0.7  # shares of the time that finding the field and the writing takes


class _Finished(StageRecord):
    """A clip on disk, and what it was made from."""

    inputs: str
    clip: RefinedClip


@dataclass(frozen=True)
class _Case:
    """The parts of one case."""

    number: int
    title: str
    spans: tuple[tuple[float, float], ...]

    @property
    def seconds(self) -> float:
        return sum(end - start for start, end in self.spans)


@dataclass(frozen=True)
class _Planned:
    """A clip to write: frames ``first`` to ``end`` (exclusive) of the chosen ones."""

    id: str
    first: int
    end: int
    inputs: str


def refine(
    video: Path,
    recording: Recording,
    segments: Segments,
    options: ClipOptions,
    folder: SetFolder,
    on_progress: Callable[[float], None],
) -> Clips:
    """Cut a recording into refined clips, and draw its contact sheet.

    Args:
        video: The file of the recording.
        recording: What is known of it.
        segments: Its parts.
        options: How clips are refined.
        folder: The set; clips and contact sheet are written into it.
        on_progress: Called with the share that is done, in [0, 1].

    Returns:
        All clips: per case its video first, then its keyframe clips.

    Raises:
        InputError: The recording is damaged, or the detector of the field cannot be used.
    """
    source = video_source(video)
    cases = _cases(segments, source)
    total = sum(case.seconds for case in cases) or 1.0
    clips: list[RefinedClip] = []
    rows: list[SheetRow] = []
    done = 0.0
    for case in cases:

        def tell(share: float, done: float = done, case: _Case = case) -> None:
            on_progress(min(1.0, (done + share * case.seconds) / total))

        work = _CaseWork(source, recording, case, options, folder, tell)
        made = work.run()
        clips += made
        rows.append(work.row(made))
        done += case.seconds
    _remove_others(recording, clips, folder)
    sheet = ""
    if rows:
        path = folder.contact_sheets / f"{recording.id}.jpg"
        write_contact_sheet(path, recording, rows)
        sheet = path.relative_to(folder.path).as_posix()
    on_progress(1.0)
    return Clips(clips=tuple(clips), contact_sheet=sheet)


def _cases(segments: Segments, source: VideoSource) -> list[_Case]:
    """Return the cases in order; a slide view without a number is a case of its own."""
    grouped: dict[int | tuple[float, float], list[Segment]] = {}
    for segment in segments.slides:
        if segment.start < source.duration and segment.end > segment.start:
            key = segment.case if segment.case is not None else (segment.start, segment.end)
            grouped.setdefault(key, []).append(segment)
    used = {key for key in grouped if isinstance(key, int)}
    free = (number for number in range(1, len(grouped) + len(used) + 1) if number not in used)
    cases = []
    for key, parts in grouped.items():
        title = next((part.title for part in parts if part.title), "")
        spans = tuple(sorted((part.start, part.end) for part in parts))
        number = key if isinstance(key, int) else next(free)
        cases.append(_Case(number, screened_text(title).text, spans))
    return sorted(cases, key=lambda case: case.number)


class _CaseWork:
    """The work on one case."""

    def __init__(
        self,
        source: VideoSource,
        recording: Recording,
        case: _Case,
        options: ClipOptions,
        folder: SetFolder,
        tell: Callable[[float], None],
    ) -> None:
        self._source, self._recording, self._case = source, recording, case
        self._options, self._folder, self._tell = options, folder, tell
        self._moments = moments(source, case.spans, options.fps)
        self._field = self._find_field()
        self._geometry = Geometry.of(source, self._field.crop, whole=options.writing == "mask-personal")
        tell(_FIELD)

    def run(self) -> list[RefinedClip]:
        """Write the clips that are not there yet, and return all."""
        view = CaseView(self._source, self._moments, self._geometry, self._field, self._cursors())
        planned = self._planned(view)
        finished = {one.id: clip for one in planned if (clip := self._finished(one)) is not None}
        missing = [one for one in planned if one.id not in finished]
        if missing:
            finished |= self._write(view, missing)
        self._tell(1.0)
        return [finished[one.id] for one in planned]

    def row(self, clips: Sequence[RefinedClip]) -> SheetRow:
        """Return what the contact sheet shows of the case."""
        middle = self._moments[len(self._moments) // 2]
        (frame,), _ = self._source.read([middle.index], lambda frame: fitted(frame, *self._geometry.frame))
        case_video = clips[0]
        return SheetRow(
            frame, middle.seconds, case_video, self._folder.path / case_video.file, list(clips[1:])
        )

    def _find_field(self) -> FieldBox:
        indices = _spread(self._inside(), LOOKED_AT)
        size = self._source.width, self._source.height
        pictures, _ = self._source.read(indices, lambda frame: small(fitted(frame, *size)))
        if self._options.field != "colour":
            from videopath.dataset.clips.detector import detect_field

            return detect_field(Path(self._options.field), pictures)
        field = find_field(pictures)
        full, _ = self._source.read(_spread(indices, _FULL_SIZE), lambda frame: fitted(frame, *size))
        return FieldBox(sharpened(field.crop, full), field.thumbnails, field.by)

    def _cursors(self) -> list[Template]:
        """Return the cursors to remove."""
        if self._options.cursor != "remove":
            return []

        def read(numbers: list[int]) -> list[np.ndarray]:
            regions, _ = self._source.read(numbers, self._geometry.read)
            return [self._geometry.cut(region) for region in regions]

        return find_cursors(read_triplets(read, self._source.seconds, _spread(self._inside(), LOOKED_AT)))

    def _inside(self) -> list[int]:
        """Return all frames of the case, without those beside cuts."""
        times = self._source.seconds
        inside: list[int] = []
        for start, end in self._case.spans:
            edge = min(_AWAY_FROM_CUTS, (end - start) / 4)
            first, last = np.searchsorted(times, (start + edge, end - edge)).tolist()
            inside += range(first, last)
        return inside or [moment.index for moment in self._moments]

    def _planned(self, view: CaseView) -> list[_Planned]:
        name = f"{self._recording.id}-case-{self._case.number}"
        thumbnails = [thumbnail(self._geometry.cut(region)) for _, region in view.film()]
        keys = key_windows(thumbnails, self._options.fps, self._options.key_clips, self._options.key_seconds)
        windows = [(name, 0, len(self._moments))]
        windows += [(f"{name}-key-{number}", *window) for number, window in enumerate(keys, start=1)]
        return [_Planned(id, first, end, self._inputs(first, end)) for id, first, end in windows]

    def _inputs(self, first: int, end: int) -> str:
        """Return a hash of all that a clip depends on."""
        options, geometry = self._options, self._geometry
        parts = (
            VERSION, self._recording.sha256, options.fps, options.writing, options.cursor, geometry, self._field,
            self._case.title, [(moment.index, moment.seconds) for moment in self._moments[first:end]],
        )  # fmt: skip
        return sha256_text("\n".join(map(repr, parts)))

    def _record_file(self, clip_id: str) -> Path:
        return self._folder.of(self._recording) / "clips" / f"{clip_id}.json"

    def _finished(self, planned: _Planned) -> RefinedClip | None:
        """Return the clip on disk if it was made from the same inputs and has not been changed."""
        record = self._record_file(planned.id)
        if not record.exists():
            return None
        try:
            finished = _Finished.model_validate_json(record.read_bytes())
        except ValidationError:
            return None  # of an earlier version
        file = self._folder.path / finished.clip.file
        same = (
            finished.inputs == planned.inputs and file.exists() and sha256_file(file) == finished.clip.sha256
        )
        return finished.clip if same else None

    def _write(self, view: CaseView, planned: Sequence[_Planned]) -> dict[str, RefinedClip]:
        film = masked_film(
            view, self._options.writing, on_progress=lambda share: self._tell(_FIELD + _SEARCH * share)
        )
        written: dict[str, RefinedClip] = {}
        writers: list[_ClipWriter] = []
        with ExitStack() as open_files:
            for number, (_, region) in enumerate(film):
                picture = self._geometry.cut(region)
                for one in planned:
                    if one.first == number:
                        writers.append(
                            _ClipWriter(one, self._folder, self._geometry, self._options.fps, open_files)
                        )
                for writer in [writer for writer in writers if number < writer.planned.end]:
                    writer.add(picture, number)
                self._tell(_FIELD + _SEARCH + (0.9 - _FIELD - _SEARCH) * (number + 1) / len(self._moments))
        for writer in writers:
            clip = self._record(writer, film.erased.writings, view)
            finished = _Finished(inputs=writer.planned.inputs, clip=clip)
            write_text(self._record_file(clip.id), finished.model_dump_json(indent=1) + "\n")
            written[clip.id] = clip
        return written

    def _record(self, writer: _ClipWriter, writings: Sequence[Writing], view: CaseView) -> RefinedClip:
        planned, fps = writer.planned, self._options.fps
        times = [moment.seconds for moment in self._moments[planned.first : planned.end]]
        end = min(times[-1] + 1 / fps, self._case.spans[-1][1], float(self._source.duration))
        width, height = self._geometry.size
        return RefinedClip(
            id=planned.id,
            product="keyframe clip" if "-key-" in planned.id else "case video",
            file=writer.file.relative_to(self._folder.path).as_posix(),
            sha256=sha256_file(writer.file),
            start=round(times[0], 3),
            end=round(max(end, times[-1]), 3),
            case=self._case.number,
            title=self._case.title,
            fps=fps,
            frames=len(times),
            width=width,
            height=height,
            crop=self._geometry.crop,
            crop_by=self._field.by,
            writing=self._options.writing,
            erased=tuple(self._erased(writings, view, times)),
            cursor=self._options.cursor,
            fingerprints=writer.fingerprints(),
        )

    def _erased(
        self, writings: Sequence[Writing], view: CaseView, times: Sequence[float]
    ) -> Iterator[Writing]:
        """Yield what was filled in a clip, in the recording's coordinates."""
        crop = self._geometry.crop
        for thumb in self._field.thumbnails:
            if _overlap(thumb, crop):
                yield Writing(
                    box=thumb,
                    seconds=list(times),
                    share=_area(thumb),
                    kind="label",
                    reason="thumbnail",
                    filled=True,
                )
        cursor = {
            seconds: self._geometry.to_recording(view.cursor_boxes[seconds])
            for seconds in times
            if seconds in view.cursor_boxes
        }
        if cursor:
            left, top, right, bottom = zip(*cursor.values(), strict=True)
            yield Writing(
                box=(min(left), min(top), max(right), max(bottom)),
                seconds=list(cursor),
                share=max(map(_area, cursor.values())),
                kind="label",
                reason="cursor",
                filled=True,
            )
        for writing in writings:
            box = self._geometry.to_recording(writing.box)
            seconds = [moment for moment in writing.seconds if times[0] <= moment <= times[-1]]
            if writing.filled and seconds and _overlap(box, crop):
                yield writing.model_copy(update={"box": box, "seconds": seconds, "share": _area(box)})


class _ClipWriter:
    """A clip that is being written."""

    def __init__(
        self, planned: _Planned, folder: SetFolder, geometry: Geometry, fps: float, open_files: ExitStack
    ) -> None:
        self.planned, self.file = planned, folder.clips / f"{planned.id}.mp4"
        self._fps = fps
        self._own = open_files.enter_context(ExitStack())
        part = self._own.enter_context(replaced_on_success(self.file))
        self._video = self._own.enter_context(VideoWriter(part, *geometry.size, fps))
        count = planned.end - planned.first
        self._kept = set(np.linspace(0, count - 1, min(count, _FINGERPRINTS)).round().astype(int).tolist())
        self._pictures: list[np.ndarray] = []

    def add(self, picture: np.ndarray, number: int) -> None:
        """Add frame ``number`` of the case; after the last one the file is in its place."""
        own = number - self.planned.first
        self._video.add(picture, own / self._fps)
        if own in self._kept:
            self._pictures.append(picture.copy())
        if number + 1 == self.planned.end:
            self._own.close()

    def fingerprints(self) -> tuple[str, ...]:
        return tuple(one.tobytes().hex() for one in fingerprints(np.stack(self._pictures)))


def _remove_others(recording: Recording, clips: Sequence[RefinedClip], folder: SetFolder) -> None:
    """Remove clips of cases that do not exist any more, and what a killed build left."""
    kept = {clip.id for clip in clips}
    for file in folder.clips.glob(f"{recording.id}-case-*.mp4"):
        if file.stem not in kept:
            file.unlink()
    for file in (folder.of(recording) / "clips").glob("*.json"):
        if file.stem not in kept:
            file.unlink()
    for file in folder.clips.glob(f".{recording.id}-case-*.part"):
        file.unlink()


def _spread(indices: Sequence[int], count: int) -> list[int]:
    """Return at most ``count`` of the indices, evenly spread."""
    positions = np.linspace(0, len(indices) - 1, min(len(indices), count)).round().astype(int)
    return sorted({indices[position] for position in positions})


def _overlap(a: Crop, b: Crop) -> bool:
    return max(a[0], b[0]) < min(a[2], b[2]) and max(a[1], b[1]) < min(a[3], b[3])


def _area(box: Crop) -> float:
    return min(1.0, max(0.0, (box[2] - box[0]) * (box[3] - box[1])))
