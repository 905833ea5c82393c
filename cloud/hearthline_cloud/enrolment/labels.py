"""The label of a one-time code: a QR code with the center's address and the code, and both in letters. Pure.

62 mm by 29 mm, as label printers have it. Letters and digits alone, so that no font has to be carried; as PNG the QR
code alone. The QR code and the PNG are segno's.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import segno

from hearthline.enrolment_code import Code, label_text

KINDS = ("svg", "pdf", "png")
_WIDTH, _HEIGHT, _QUIET = 62.0, 29.0, 4  # millimetres; the quiet zone in modules
_POINTS = 72 / 25.4
_LINES = ((3.4, 3.2), (9.0, 3.6), (13.4, 3.6), (19.0, 2.4), (23.0, 2.4))  # millimetres: top of the line, size
_LEFT = 30.0
_MOST = 28  # characters of a small line


@dataclass(frozen=True, slots=True)
class Label:
    """What stands on it. `center`: an address, or ""; `until`: a day."""

    gateway: str
    center: str
    code: Code
    until: str


def draw(label: Label, kind: str) -> bytes:
    """`kind`: one of KINDS."""
    code = segno.make(label_text(label.center, label.code), error="m", micro=False)
    if kind == "png":
        out = io.BytesIO()
        code.save(out, kind="png", scale=10, border=_QUIET)
        return out.getvalue()
    runs = list(_runs(code))
    return _svg(label, runs) if kind == "svg" else _pdf(label, runs)


def _runs(code: segno.QRCode) -> Iterator[tuple[float, float, float, float]]:
    """Dark runs of each row: left, top, width, height in millimetres from the top left corner."""
    rows = [[bool(module) for module in row] for row in code.matrix]
    size = _HEIGHT / (len(rows) + 2 * _QUIET)
    for y, row in enumerate(rows):
        x = 0
        while x < len(row):
            begin = x
            while x < len(row) and row[x]:
                x += 1
            if x > begin:
                yield (begin + _QUIET) * size, (y + _QUIET) * size, (x - begin) * size, size
            x += 1


def _words(label: Label) -> list[str]:
    code = label.code.text
    center = label.center.partition("://")[2]
    return [label.gateway[:_MOST], code[:15], code[15:], center[:_MOST], label.until]


def _svg(label: Label, runs: list[tuple[float, float, float, float]]) -> bytes:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH:g}mm" height="{_HEIGHT:g}mm" '
        f'viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}">',
        f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="#fff"/>',
        f'<path d="{"".join(f"M{x:.3f} {y:.3f}h{w:.3f}v{h:.3f}h-{w:.3f}z" for x, y, w, h in runs)}"/>',
    ]
    lines += [
        f'<text x="{_LEFT:g}" y="{top + size:g}" font-family="monospace" font-size="{size:g}">{escape(words)}</text>'
        for words, (top, size) in zip(_words(label), _LINES, strict=True)
    ]
    return "\n".join([*lines, "</svg>", ""]).encode()


def _pdf(label: Label, runs: list[tuple[float, float, float, float]]) -> bytes:
    """One page with rectangles and Courier, which every reader has (ISO 32000-1, 9.6.2.2)."""
    drawn = [f"{_POINTS:.5f} 0 0 {-_POINTS:.5f} 0 {_HEIGHT * _POINTS:.3f} cm"]  # millimetres from the top left
    drawn += [f"{x:.3f} {y:.3f} {w:.3f} {h:.3f} re" for x, y, w, h in runs]
    drawn += ["f"]
    drawn += [
        f"BT /F {size:g} Tf 1 0 0 -1 {_LEFT:g} {top + size:g} Tm ({_pdf_text(words)}) Tj ET"
        for words, (top, size) in zip(_words(label), _LINES, strict=True)
    ]
    content = "\n".join(drawn).encode("ascii", "replace")
    box = f"[0 0 {_WIDTH * _POINTS:.3f} {_HEIGHT * _POINTS:.3f}]"
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/MediaBox{box}/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>".encode(),
        b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Courier>>",
    ]
    made, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj" % number + each + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    begin = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table
    made += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, begin)
    return bytes(made)


def _pdf_text(words: str) -> str:
    return words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
