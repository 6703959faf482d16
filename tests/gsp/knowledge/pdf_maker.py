"""Writes small PDF files for tests, with a font that every reader of PDF knows by name: nothing has to be installed.

Its letters have no shapes then, and PDFium leaves out lines of a single one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

# (x, y, size, text): where a line begins, in points from the bottom left of a page of 600 x 800
TextLine = tuple[float, float, float, str]
WIDTH, HEIGHT = 600, 800


def write_pdf(path: Path, pages: Sequence[Sequence[TextLine] | None], pictures: Collection[int] = ()) -> Path:
    """A page is lines of text, or None for one that is a picture; `pictures` are pages that are a picture too."""
    objects: list[bytes] = []

    def add(content: bytes) -> int:
        objects.append(content)
        return len(objects)

    def stream(head: bytes, data: bytes) -> bytes:
        return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (head, len(data), data)

    add(b"")  # the catalogue, written last
    add(b"")  # the list of pages
    add(
        b"<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts "
        b"[<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) "
        b"/Ordering (GB1) /Supplement 4 >> /DW 1000 /W [1 [500] 2 95 500] /FontDescriptor << /Type /FontDescriptor "
        b"/FontName /STSong-Light /Flags 4 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 800 /Descent -200 "
        b"/CapHeight 700 /StemV 80 >> >>] >>"
    )
    picture = add(
        stream(
            b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8", b"\x80"
        )
    )
    numbers = []
    for page, lines in enumerate(pages, start=1):
        data = b"\n".join(
            b"BT /F %g Tf 1 0 0 1 %g %g Tm <%s> Tj ET" % (size, x, y, text.encode("utf-16-be").hex().encode())
            for x, y, size, text in lines or ()
        )
        if lines is None or page in pictures:
            data = b"q %d 0 0 %d 0 0 cm /I Do Q\n" % (WIDTH, HEIGHT) + data
        content = add(stream(b"", data))
        numbers.append(
            add(
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R /Resources "
                b"<< /Font << /F 3 0 R >> /XObject << /I %d 0 R >> >> >>" % (WIDTH, HEIGHT, content, picture)
            )
        )
    objects[0] = b"<< /Type /Catalog /Pages 2 0 R >>"
    kids = b" ".join(b"%d 0 R" % number for number in numbers)
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(numbers), kids)
    body, offsets = b"%PDF-1.5\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    path.write_bytes(body + head + table + tail)
    return path


def column(x: float, top: float, texts: Sequence[str], size: float = 12, step: float = 18) -> list[TextLine]:
    """Lines below one another."""
    return [(x, top - i * step, size, text) for i, text in enumerate(texts)]
