"""The data card of a set (``README.md`` with the front matter of Hugging Face), and the provenance of each clip.

Neither has a date: the same inputs give the same bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version

import yaml

from videopath.core.choices import SPLIT_SIDES
from videopath.core.files import write_text
from videopath.core.privacy.personal import reasons_in_name
from videopath.dataset.finishing.checks import Checked
from videopath.dataset.finishing.exports import Entry, on_side
from videopath.dataset.finishing.material import Material
from videopath.dataset.finishing.split import Split
from videopath.dataset.options import SetOptions
from videopath.dataset.records import Recording, RefinedClip
from videopath.dataset.set_folder import SetFolder

CARD = "README.md"
PROVENANCE = "provenance.jsonl"
_HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "unlicense", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0",
    "odc-by", "odbl",
}  # fmt: skip
"""Licences by the names of the Hugging Face hub."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LISTED = 200  # recordings and files in the card; all of them are in the JSON files


def write_card(
    folder: SetFolder,
    material: Material,
    checked: Checked,
    split: Split,
    entries: Sequence[Entry],
    options: SetOptions,
) -> list[str]:
    """Write the card and the provenance of each clip, and return their names."""
    write_text(
        folder.path / PROVENANCE,
        "".join(
            json.dumps(line, ensure_ascii=False) + "\n" for line in _provenance(material, split, entries)
        ),
    )
    head = yaml.safe_dump(_front_matter(entries, checked, options), sort_keys=False, allow_unicode=True)
    sections = _sections(material, checked, split, entries, options)
    write_text(folder.path / CARD, f"---\n{head}---\n\n" + "\n\n".join(sections) + "\n")
    return [CARD, PROVENANCE]


def _front_matter(entries: Sequence[Entry], checked: Checked, options: SetOptions) -> dict[str, object]:
    name = "-".join(options.licence.casefold().split())
    licence = (
        {"license": name} if name in _HUB_LICENCES else {"license": "other", "license_name": options.licence}
    )
    data_files = [{"split": side, "path": f"{side}.json"} for side in SPLIT_SIDES if on_side(entries, side)]
    return {
        **licence,
        **({"language": [checked.language]} if checked.language else {}),
        "pretty_name": options.name,
        "task_categories": ["video-text-to-text", "visual-question-answering"],
        "tags": ["pathology", "histology", "video", "medical", "llava"],
        "size_categories": [next((size for limit, size in _SIZES if len(entries) < limit), "n>1M")],
        **({"configs": [{"config_name": "default", "data_files": data_files}]} if data_files else {}),
    }


def _sections(
    material: Material, checked: Checked, split: Split, entries: Sequence[Entry], options: SetOptions
) -> Iterator[str]:
    clips = _clips_of(material, entries)
    seconds = sum(clip.end - clip.start for _, clip in clips)
    yield f"# {options.name}"
    yield (
        f"{len(entries):,} questions with answers about {len(clips):,} clips ({seconds:,.0f} seconds) of "
        f"{len({entry['source'] for entry in entries}):,} recordings, in the LLaVA format. Made with `videopath dataset "
        f"build` (VideoPath {version('videopath-agent')})."
    )
    yield (
        "> **For research only.** The set is not made for diagnosis, and no answer in it is a medical opinion. "
        "Whoever shares it needs the right to share the recordings."
    )
    yield "## Content"
    yield _counts(entries)
    if split.notes:
        yield _list(split.notes)
    yield _split_rule(options)
    yield "## Who wrote the answers"
    yield _list(_writers(material, entries))
    yield "## Clips"
    yield _list(_clip_facts(clips))
    yield "## Recordings"
    yield f"Licence, as stated when the set was built: {options.licence}."
    yield _recordings(material, split)
    yield "## Passed over"
    yield _passed_over(material)
    yield "## Checks"
    yield _list(_checks(material, checked))
    yield "## Limits"
    yield _list(_limits(entries, options))
    yield "## Read it back"
    yield _READ_BACK


def _clips_of(material: Material, entries: Sequence[Entry]) -> list[tuple[Recording, RefinedClip]]:
    """The clips that an entry is about."""
    used = {(entry["source"], entry["clip"]) for entry in entries}
    return [(recording, clip) for recording, clip in material.clips if (recording.id, clip.id) in used]


def _counts(entries: Sequence[Entry]) -> str:
    rows: list[Sequence[object]] = []
    rows.append(("recordings", *(len({e["source"] for e in on_side(entries, side)}) for side in SPLIT_SIDES)))
    rows.append(("clips", *(len({e["clip"] for e in on_side(entries, side)}) for side in SPLIT_SIDES)))
    rows.append(("questions with answers", *(len(on_side(entries, side)) for side in SPLIT_SIDES)))
    for field in ("product", "about", "origin", "model", "site"):
        for value in sorted({entry[field] for entry in entries if entry[field]}):
            name = f"{field}: {value}"
            rows.append((name, *_by_side(entries, field, value)))
    rows.append(("blind", *_by_side(entries, "blind", True)))
    rows.append(("not blind", *_by_side(entries, "blind", False)))
    return _table(("", *SPLIT_SIDES), rows) + (
        "\n\n*Blind*: the answer rests on the picture alone, so a model can be tested with it. In the others the "
        "narrator or a title gave something away (`given_away`). `test-blind.json` has the blind answers of the test side."
    )


def _by_side(entries: Sequence[Entry], field: str, value: object) -> list[int]:
    return [sum(entry[field] == value for entry in on_side(entries, side)) for side in SPLIT_SIDES]


def _split_rule(options: SetOptions) -> str:
    return (
        f"A recording is on one side as a whole: its side follows from a hash of its file and the seed {options.seed} "
        f"(shares: test {options.test_share:g}, validation {options.validation_share:g}), so it stays when recordings are "
        "added. Recordings that share a nearly identical picture are one `group` and on one side."
    )


def _writers(material: Material, entries: Sequence[Entry]) -> Iterator[str]:
    writers = Counter((entry["origin"], entry["model"]) for entry in entries)
    for (origin, model), count in sorted(writers.items()):
        by = f"the model {model}" if origin == "model" and model else f"a {origin}"
        yield f"{count:,} answers by {by}."
    rated = Counter(entry["quality"] for entry in entries)
    yield (
        "Quality by a second pass (0 to 5): "
        + (
            ", ".join(f"{quality}: {rated[quality]:,}" for quality in sorted(rated.keys() - {None}))
            or "none rated"
        )
        + (f"; not rated: {rated[None]:,}." if rated[None] else ".")
    )
    again = sum(entry["rounds"] > 1 for entry in entries)
    yield f"{again:,} answers were written a second time, since the first was rated too low."
    dropped = sum(len(result.dropped) for result in material.results)
    yield f"{dropped:,} answers were dropped: rated too low again, or not usable. Each has its reason in `recordings/ID/instructions.json`."
    yield f"{material.drafts:,} drafts wait for a person and are not in the set."
    words = Counter(
        transcript.sentence if transcript.origin == "none" else _origin(transcript.origin, transcript.model)
        for result in material.results
        if (transcript := result.transcript)
    )
    for sentence, count in sorted(words.items()):
        yield f"Words of {count:,} recordings: {sentence}"
    masked = sum(result.transcript.masked for result in material.results if result.transcript)
    yield f"{masked:,} pieces of a person's data were masked in the words before anything else read them."


def _origin(origin: str, model: str) -> str:
    return f"{origin}{f', by {model}' if model else ''}."


def _clip_facts(clips: Sequence[tuple[Recording, RefinedClip]]) -> Iterator[str]:
    if not clips:
        yield "None."
        return
    rates = sorted({clip.fps for _, clip in clips})
    yield (
        f"Cut to the field, {' to '.join(f'{rate:g}' for rate in dict.fromkeys((rates[0], rates[-1])))} frames per "
        "second, without sound."
    )
    yield "Field found by: " + _joined(Counter(clip.crop_by for _, clip in clips), "clips")
    yield "Rule for writing: " + _joined(Counter(clip.writing for _, clip in clips), "clips")
    erased = Counter(f"{writing.kind}: {writing.reason}" for _, clip in clips for writing in clip.erased)
    yield "Writing that was filled: " + (_joined(erased, "places") if erased else "none.")
    yield "Cursor: " + _joined(Counter(clip.cursor for _, clip in clips), "clips")
    yield f"`{PROVENANCE}` has, for each clip: hash, recording, seconds, crop, and each box that was filled, with its reason."


def _joined(counts: Counter[str], unit: str) -> str:
    return "; ".join(f"{name} ({count:,} {unit})" for name, count in sorted(counts.items())) + "."


def _recordings(material: Material, split: Split) -> str:
    rows = [
        (
            r.id,
            _screened(r.path),
            f"`{r.sha256}`",
            f"{r.seconds:.1f}",
            f"{r.width} x {r.height}",
            split.sides[r.id],
        )
        for r in material.recordings[:_LISTED]
    ]
    table = _table(("id", "file", "SHA-256", "seconds", "pixels", "side"), rows) if rows else "None."
    return table + _more(len(material.recordings), "recordings/*/recording.json")


def _passed_over(material: Material) -> str:
    rows = [(_screened(file.path), _screened(file.reason)) for file in material.passed_over[:_LISTED]]
    table = _table(("file", "reason"), rows) if rows else "No file was passed over."
    return table + _more(len(material.passed_over), "passed_over.json")


def _checks(material: Material, checked: Checked) -> Iterator[str]:
    yield f"Language of most answers: {checked.language or 'not known'}."
    for title, counts in (
        ("Left out", checked.left_out),
        ("Noted, and in the set", checked.noted),
    ):
        yield f"{title}: " + (
            ", ".join(f"{kind} {count:,}" for kind, count in counts.items()) + "." if counts else "nothing."
        )
    across = sum(pair.recordings[0] != pair.recordings[1] for pair in checked.duplicates)
    yield (
        f"Pairs of clips of different cases that share a nearly identical frame: {len(checked.duplicates):,}, "
        f"{across:,} of them across recordings. All fingerprints of {len(material.clips):,} clips were compared, turned and "
        "mirrored as well."
    )
    blank = sum(not clip.fingerprints for _, clip in material.clips)
    if blank:
        yield f"{blank:,} clips have no fingerprint, so copies of them are not found: their frames have no structure."
    yield "Every clip in the set has the hash that it was refined with. `checks.json` names each finding."


def _limits(entries: Sequence[Entry], options: SetOptions) -> Iterator[str]:
    models = sorted({entry["model"] for entry in entries if entry["origin"] == "model"})
    if models:
        yield (
            f"Answers by {', '.join(models)} are no truth. A pathologist has not checked them, and a second pass by a model "
            "finds only some of its mistakes."
        )
    unrated = sum(entry["quality"] is None and entry["origin"] == "model" for entry in entries)
    if unrated:
        yield f"{unrated:,} answers of a model were not rated, so nothing is known of their quality."
    if any(not entry["blind"] for entry in entries):
        yield "Answers that are not blind hold what the narrator said. A model that is tested with them is tested on words."
    yield "Keyframe clips have weak labels: the diagnosis is that of their case, whether they show it or not."
    yield "Writing and persons' data are found by programs, which can miss them. Look at the contact sheets before you share the set."
    yield "All recordings of one teacher share stain, scanner and voice, and may be on different sides."
    if options.licence == "not stated":
        yield "No licence of the recordings was stated: do not share the set before it is known."


_READ_BACK = """\
```bash
videopath dataset check SET/instructions.json --depth frames
videopath knowledge build BASE SET/train.json --media SET
videopath train --recipe SET/recipe.yaml --data SET --out RUN
videopath evaluate SET/test.json --media SET --model RUN/videos/original
```

SET is this folder. `recipe.yaml` begins from the bundled model and takes a few steps; change it for another model.

```python
import datasets, json
sides = datasets.load_from_disk("SET/datasets")          # train, validation, test
pairs = [json.loads(line) for line in open("SET/instructions.jsonl", encoding="utf-8")]
```

`croissant.json` describes files, hashes and fields for `mlcroissant`."""


def _provenance(material: Material, split: Split, entries: Sequence[Entry]) -> Iterator[dict[str, object]]:
    pairs = Counter((entry["source"], entry["clip"]) for entry in entries)
    for recording, clip in material.clips:
        record = clip.model_dump(mode="json", exclude={"title", "fingerprints"})
        yield {
            "clip": record.pop("id"),
            "side": split.sides[recording.id],
            "pairs": pairs[recording.id, clip.id],
            "recording": recording.id,
            "recording_sha256": recording.sha256,
            "recording_file": _screened(recording.path),
            **record,
        }


def _screened(text: str) -> str:
    """Return a path or a sentence about it, or why it is not shown."""
    reasons = reasons_in_name(text)
    return f"(not shown: {', '.join(reasons)})" if reasons else text


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return " ".join(str(value).replace("|", "\\|").split())


def _more(count: int, file: str) -> str:
    return f"\n\n… and {count - _LISTED:,} more: see `{file}`." if count > _LISTED else ""
