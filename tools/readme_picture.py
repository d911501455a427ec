# SPDX-License-Identifier: Apache-2.0
"""Make docs/images/report.png: what a report looks like, of a result folder, light, at one and a half times the pixels.

python tools/readme_picture.py RESULT_FOLDER [OUT.png]
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from chromium import chromium, opened
from PIL import Image

from host.paths import PROJECT_DIR
from host.report.page.render import write_report

SIZE = (1100, 1800)
SCALE = 1.5
MOST_BYTES = 220_000


def shoot(folder: Path) -> bytes:
    """A PNG of the top of a folder's report: the verdict, the table, and the first run's power."""
    with tempfile.TemporaryDirectory() as place:
        report = write_report([folder], Path(place) / "report.html")
        look = {"color_scheme": "light", "device_scale_factor": SCALE}
        with chromium() as browser, opened(browser, report, SIZE, **look) as seen:
            end = seen.page.locator(".trace .key").first.bounding_box()
            height = min(end["y"] + end["height"] + 16, SIZE[1]) if end else SIZE[1]
            return bytes(seen.page.screenshot(clip={"x": 0, "y": 0, "width": SIZE[0], "height": height}))


def small(png: bytes) -> bytes:
    """The same picture in a palette: a page has few colours. As many of them as fit MOST_BYTES."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    for colours in (256, 128, 64, 32, 16):
        out = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() <= MOST_BYTES:
            return out.getvalue()
    raise SystemExit(f"the picture takes {out.tell():,} bytes, more than {MOST_BYTES:,}: make SIZE smaller")


def main() -> None:
    """Make it."""
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    out = Path(sys.argv[2]) if len(sys.argv) == 3 else PROJECT_DIR / "docs/images/report.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(small(shoot(Path(sys.argv[1]))))
    sys.stdout.write(f"{out}: {out.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
