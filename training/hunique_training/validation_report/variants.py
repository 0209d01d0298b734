"""What is done to pictures before they are sent: nothing, or more loss each time.

Compression and blur of the pictures at hand say little about what they do, because they go
with the source. Here the same picture is sent again, worse.
"""

from dataclasses import dataclass

import cv2

from hunique_models.image import DecodeLimits, decode
from hunique_models.overlay import encode_jpeg


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to send every picture."""

    name: str
    """As it stands in tallies and reports."""
    stress: str = ""
    """`jpeg` or `blur`; empty for pictures as they are."""
    strength: float = 0.0
    """Quality of the JPEG, or standard deviation of the blur as a share of the longest side."""

    @property
    def told(self) -> str:
        """For people."""
        if self.stress == "jpeg":
            return f"JPEG quality {self.strength:g}"
        return f"blur {100 * self.strength:g} %" if self.stress else self.name

    def apply(self, data: bytes) -> bytes:
        """The encoded picture as it is sent.

        Raises:
            InputError: the picture cannot be decoded.
        """
        if not self.stress:
            return data
        pixels = decode(data, DecodeLimits()).pixels
        if self.stress == "jpeg":
            return encode_jpeg(pixels, round(self.strength))
        blurred = cv2.GaussianBlur(pixels, (0, 0), self.strength * max(pixels.shape[:2]))
        ok, encoded = cv2.imencode(".bmp", cv2.cvtColor(blurred, cv2.COLOR_RGB2BGR))
        if not ok:
            raise ValueError(f"a picture of shape {pixels.shape} could not be encoded as BMP")
        return encoded.tobytes()


AS_IT_IS = Variant(name="as it is")
STRESSES = {
    "jpeg": tuple(
        Variant(name=f"jpeg-{quality}", stress="jpeg", strength=quality)
        for quality in (90, 70, 50, 30)
    ),
    "blur": tuple(
        Variant(name=f"blur-{share:g}", stress="blur", strength=share)
        for share in (0.001, 0.002, 0.004)
    ),
}
"""Variants by what they try: 0.001 of the longest side is 1 px at 1,000 px."""
