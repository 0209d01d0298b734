"""What a file is by its first bytes, to say in errors what was found. A leaf module."""

_SIGNATURES = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"BM", "BMP"),
    (4, b"ftyphei", "HEIF"),
    (4, b"ftyphev", "HEIF"),
    (4, b"ftypmif1", "HEIF"),
    (4, b"ftypmsf1", "HEIF"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyp", "MP4 or MOV"),
    (0, b"GIF8", "GIF"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF-", "PDF"),
    (0, b"PK\x03\x04", "ZIP"),
)


def kind_of(data: bytes) -> str:
    """Name of the format whose signature the data begin with; "" where none is known."""
    for start, signature, kind in _SIGNATURES:
        if data[start : start + len(signature)] == signature:
            return kind
    return ""
