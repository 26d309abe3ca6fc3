"""Write the measured part of MODEL_CARD.md anew from the figures of an evaluation.

videopath evaluate --data DIR --set all --split test --json > figures.json
python docs/card.py figures.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from videopath.training.data import corpus

CARD = Path(__file__).resolve().parent.parent / "MODEL_CARD.md"
BEGIN, END = "<!-- measured: docs/card.py -->\n", "<!-- end of measured -->\n"
_ALONE = {"cases": "the vote of the similar cases", "colour": "six colour numbers (the trivial baseline)"}
_ATTRIBUTES = {"fineness": "power", "open_space": "open space"}  # as the card calls them


def measured(figures: dict[str, Any]) -> str:
    """The tables: whole test side, by class, confusion by site, atlas slides."""
    return (
        "\n\n".join([_whole(figures), _by_class(figures), *_confusions(figures), _atlas(figures["atlas"])])
        + "\n"
    )


def _whole(figures: dict[str, Any]) -> str:
    rows = [
        ("**accuracy over the fifteen classes**", *_share(figures["accuracy"], bold=True)),
        ("mean over the classes", f"{figures['mean_class_accuracy']:.1%}", ""),
        ("accuracy before retrieval (blind)", *_share(figures["blind_accuracy"])),
        ("answered (not abstained)", *_share(figures["coverage"])),
        ("accuracy where answered", *_share(figures["accuracy_when_answered"])),
        ("given out wrongly, of all", *_estimate(figures["signed_wrongly"])),
        (
            f"– worst diagnosis: {figures['worst'][0]}, of its own clips",
            *_share(figures["worst"][1]),
        ),
        *((f"{_ALONE[name]} alone", *_estimate(found)) for name, found in figures["alone"].items()),
        (
            "right where answered, the agent less the model before retrieval that answers as many",
            *_estimate(figures["equal_coverage"]),
        ),
        ("clips that the similar cases helped : hurt", f"{figures['helped']} : {figures['hurt']}", ""),
        (
            "expected calibration error, of the clips with a confidence",
            f"{figures['calibration_error']:.3f}",
            "",
        ),
        ("attribute words that agree with the measured attribute", *_share(figures["attributes"])),
        *(
            (f"– {_ATTRIBUTES.get(name, name)}", *_share(share))
            for name, share in figures["by_attribute"].items()
        ),
    ]
    return _table(("", "share (95% interval)", "clips or words"), rows)


def _by_class(figures: dict[str, Any]) -> str:
    rows = [
        (corpus.LABELS[label][1], *_share(share), str(figures["groups"][label]))
        for label, share in figures["by_class"].items()
    ]
    return _table(("class", "accuracy (95% interval over clips)", "clips", "groups"), rows)


def _confusions(figures: dict[str, Any]) -> Iterator[str]:
    """One table a site; what was said outside the site's list stands in a column of its own."""
    for site, diagnoses in corpus.diagnoses_by_site().items():
        rows = []
        for truth in diagnoses:
            said = figures["confusion"].get(truth, {})
            counts = [said.get(name, 0) for name in diagnoses]
            rows.append((truth, *map(str, counts), str(sum(said.values()) - sum(counts))))
        yield f"**{site}** (rows: true, columns: said)\n\n" + _table(("", *diagnoses, "other"), rows)


def _atlas(figures: dict[str, Any]) -> str:
    names = {
        "abstained": "abstained (as it should)",
        "organ": "organ written rightly",
        "category": "category written rightly",
        "both": "both",
    }
    rows = [
        (title, _share(figures["without_site"][name])[0], _share(figures["with_site"][name])[0])
        for name, title in names.items()
    ]
    count = figures["with_site"]["abstained"]["count"]
    head = f"**Atlas slides** ({count} held-out whole-slide clips, diagnoses outside the fifteen)"
    return f"{head}\n\n" + _table(("", "site not given", "site given"), rows)


def _estimate(found: dict[str, Any] | None) -> tuple[str, str]:
    """With its interval over groups; of nothing that was answered none."""
    if found is None:
        return "–", ""
    return (
        f"{found['value']:.1%} ({found['low']:.1%} – {found['high']:.1%})",
        f"{found['questions']} of {found['clusters']} groups",
    )


def _share(share: dict[str, Any], bold: bool = False) -> tuple[str, str]:
    text = f"{share['value']:.1%} ({share['low']:.1%}–{share['high']:.1%})"
    return (f"**{text}**" if bold else text), str(share["count"])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main(path: str) -> None:
    """Replace what stands between the two marks."""
    card = CARD.read_text(encoding="utf-8")
    before, _, rest = card.partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = json.loads(Path(path).read_text(encoding="utf-8"))
    CARD.write_text(before + BEGIN + "\n" + measured(figures) + "\n" + END + after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
