"""What decoders of JPEG do not mind: endless scans, and pixels that are missing.

A progressive JPEG is drawn in about ten scans, each of which may pass over all pixels and take
a few bytes. Decoders do what a file says: a megabyte can keep one busy for minutes.

Where the data end early but an end is marked, as in files that were carved from a disk or
mended, decoders fill the rest with grey and call that a picture.
"""

import re

from PIL import Image

from hunique_models.errors import UnsupportedImageError

MAX_SCANS = 100
"""As many as libtiff allows; programs that write the smallest files use less than twenty."""
MAX_SEGMENTS = 10_000
"""Each costs a little; photographs have tens, of profiles and tables."""
_MARKER = re.compile(rb"\xff+([\xc0-\xcf\xd8-\xfe])")
"""Fill bytes and a marker that begins a segment or ends the picture. All others stand among pixels, or
are passed over there by decoders, so nothing is skipped for them."""
_MISSING = 128
"""Of each channel, as decoders of a JPEG in one scan leave it."""
_START, _END, _START_OF_SCAN = 0xD8, 0xD9, 0xDA


def check_scans(data: bytes) -> None:
    """Refuse a JPEG file whose first picture has more than `MAX_SCANS`, or endless segments.

    What follows that picture is not looked at: telephones put films there.

    Raises:
        UnsupportedImageError: with how many are allowed.
    """
    if data.count(bytes([0xFF, _START_OF_SCAN])) <= MAX_SCANS:
        return
    scans, segments, place = 0, 0, 2
    while found := _MARKER.search(data, place):
        marker, place = found[1][0], found.end()
        if marker == _END:
            return
        segments += 1
        scans += marker == _START_OF_SCAN
        if scans > MAX_SCANS or segments > MAX_SEGMENTS:
            what = f"{MAX_SCANS} scans" if scans > MAX_SCANS else f"{MAX_SEGMENTS} segments"
            raise UnsupportedImageError(
                f"Expected a photograph, found a JPEG of more than {what}. "
                "Save it anew with another program."
            )
        if marker != _START:
            place += int.from_bytes(data[place : place + 2])


def ends_in_grey(image: Image.Image) -> bool:
    """Whether a loaded picture's last rows, not its first, have the grey of missing data."""
    width, height = image.size
    first, last = (
        image.crop((0, upper, width, upper + 1)).getextrema() for upper in (0, height - 1)
    )
    grey = (_MISSING, _MISSING)
    return first != last and last in (grey, (grey,) * 3)
