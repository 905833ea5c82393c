"""A device's label with a QR code, for the printer as SVG or in the terminal; `hearthline device add` scans it."""

from __future__ import annotations

import io
from pathlib import Path
from xml.sax.saxutils import escape

import segno

from hearthline_edge.pairing import label_text

_WIDTH, _HEIGHT, _CODE = 62.0, 29.0, 25.0  # mm: a common tape of label printers


def in_terminal(device: str) -> str:
    out = io.StringIO()
    segno.make(label_text(device), error="m", micro=False).terminal(out=out, compact=True)
    return out.getvalue()


def as_svg(device: str, name: str, room: str) -> str:
    """One label, 62 by 29 mm."""
    code = segno.make(label_text(device), error="m", micro=False)
    side = _CODE / code.symbol_size(border=2)[0]
    path = code.svg_inline(scale=side, border=2)
    lines = [(name, 4.2), (room, 4.2), (device, 2.8)]
    texts = "".join(
        f'<text x="{_CODE + 3}" y="{8 + place * 7}" font-size="{size}">{escape(text)}</text>'
        for place, (text, size) in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}mm" height="{_HEIGHT}mm" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
        f'<g transform="translate(1 2)">{path}</g>{texts}</svg>\n'
    )


def write_svg(path: Path, device: str, name: str, room: str) -> None:
    """Raises OSError."""
    path.write_text(as_svg(device, name, room), encoding="utf-8")
