"""HTML pages that open anywhere: nothing in them is fetched, and nothing runs."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  max-width: 1320px; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid #ddd;
  vertical-align: top } td.n, th.n { text-align: right }
svg { max-width: 960px; width: 100%; font: 12px system-ui, sans-serif }
svg .grid { stroke: #ddd } svg .line { fill: none; stroke-width: 1.6 }
small { color: #555 }
img { max-width: 100%; display: block } figcaption { color: #555 } figure { margin: 1rem 0 }
pre { background: #f5f5f5; padding: 1rem; overflow-x: auto }
@media print { details { display: none } }
"""
"""Of every page."""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Tells the browser to fetch nothing, whatever the page says."""


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole page of parts that are HTML already; `style` comes after that of every page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def pairs(rows: Mapping[str, Any]) -> str:
    """A table of names and values; None leaves a row out."""
    cells = [
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows.items()
        if value is not None
    ]
    return f"<table>{''.join(cells)}</table>"


def inline_image(data: bytes, kind: str, told: str) -> str:
    """An `<img>` that holds its picture: `kind` is `png` or `jpeg`, `told` what it shows."""
    encoded = base64.b64encode(data).decode()
    return f'<img alt="{escape(told)}" src="data:image/{kind};base64,{encoded}">'
