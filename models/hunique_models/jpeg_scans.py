"""How often a JPEG goes over its pixels. A leaf module.

A progressive JPEG is drawn in about ten scans, each of which may pass over all pixels and take
a few bytes. Decoders do what a file says: a megabyte can keep one busy for minutes.
"""

import re

MAX_SCANS = 100
"""As many as libtiff allows; programs that write the smallest files use less than twenty."""
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
"""Fill bytes and the marker; 0xFF 0x00 is a pixel's."""
_START_OF_SCAN, _END = 0xDA, 0xD9
_WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])


def has_too_many_scans(data: bytes) -> bool:
    """Whether the first picture of a JPEG file has more than `MAX_SCANS`.

    What follows that picture is not looked at: telephones put films there.
    """
    if data.count(bytes([0xFF, _START_OF_SCAN])) <= MAX_SCANS:
        return False
    scans, place = 0, 2
    while (found := _MARKER.search(data, place)) and scans <= MAX_SCANS:
        marker, place = found[1][0], found.end()
        if marker == _END:
            break
        scans += marker == _START_OF_SCAN
        if marker not in _WITHOUT_LENGTH:
            place += int.from_bytes(data[place : place + 2])
    return scans > MAX_SCANS
