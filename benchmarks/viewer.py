"""Seconds from a click on a finding to its frame on the screen, in Chromium on a real ``videopath app``.

    python benchmarks/viewer.py --home HOME --case CASE [--clicks 10]

The case must have a finding with a moment. The time runs from the click to the first picture of the browser in which the
viewer has drawn the frame of that moment; the server takes no part in it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

_HELPERS = Path(__file__).parents[1] / "tests/app/web/helpers"
_LIMIT = 0.5  # seconds
_PAUSE = 1.0  # seconds between two clicks, in which the server learns of the selected finding
_CLICK = """
const [number, away, done] = arguments;
const stage = document.querySelector(".vp-stage"), video = document.querySelector(".vp-video");
const button = () => document.querySelector(`[data-finding="${number}"]`);
const far = document.querySelector(".vp-seek");
far.value = away;
far.dispatchEvent(new Event("input"));
video.addEventListener("seeked", () => setTimeout(() => {
  const start = performance.now();
  video.addEventListener("seeked", () => requestAnimationFrame(() => requestAnimationFrame(() =>
    done([(performance.now() - start) / 1000, Number(stage.dataset.shown), stage.dataset.source]))), {once: true});
  button().click();
}, 300), {once: true});
"""


def main() -> int:
    """Print each click's seconds; fail if one is above half a second."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--case", required=True)
    parser.add_argument("--clicks", type=int, default=10)
    args = parser.parse_args()
    sys.path.insert(0, str(_HELPERS))
    from browsing import Browser, served

    with served(args.home) as address, tempfile.TemporaryDirectory() as profile:
        browser = Browser(address, Path(profile), size=(1400, 900))
        try:
            browser.go(f"case?id={args.case}")
            browser.until(lambda: browser.all('.vp-stage[data-source="video"]'), "the video is drawn")
            numbers = [e.get_attribute("data-finding") for e in browser.all("[data-finding]")]
            length = browser.run("return document.querySelector('.vp-video').duration")
            took = []
            for click in range(args.clicks):
                time.sleep(_PAUSE)
                number = numbers[click % len(numbers)]
                seconds, shown, source = browser.driver.execute_async_script(_CLICK, number, length * 0.9)
                took.append(seconds)
                print(f"finding {number}: {seconds:.3f} s, frame at {shown:.3f} s from the {source}")
        finally:
            browser.close()
    within = sum(seconds <= _LIMIT for seconds in took)
    print(
        f"{within} of {len(took)} within {_LIMIT} s; longest {max(took):.3f} s, median {sorted(took)[len(took) // 2]:.3f} s"
    )
    return 0 if within == len(took) else 1


if __name__ == "__main__":
    sys.exit(main())
