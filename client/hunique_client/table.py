"""Results as tables for people."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from hunique_client.results import ModelDescription, SegmentResult, Status

_STYLES = {Status.PRESENT: "bold green", Status.NOT_ASSESSABLE: "yellow", Status.SKIPPED: "dim"}


def printable(text: str) -> str:
    """The text with escapes for what would not show, or would drive a terminal."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def print_result(console: Console, name: str, result: SegmentResult) -> None:
    """One row a class: status, instances, score, area."""
    table = Table(title=Text(printable(name)), title_justify="left")
    table.add_column("class")
    table.add_column("status")
    for heading in ("instances", "score", "area px", "area %"):
        table.add_column(heading, justify="right")
    pixels = max(1, result.width_px * result.height_px)
    for one in result.classes:
        assessed = one.status in (Status.PRESENT, Status.ABSENT)
        status = f"{one.status} ({one.reason})" if one.reason else one.status.value
        table.add_row(
            Text(one.name.replace("_", " ")),
            Text(status),
            str(len(one.instances)) if assessed else "-",
            f"{one.score:.3f}" if assessed else "-",
            str(one.area_px) if assessed else "-",
            f"{100 * one.area_px / pixels:.2f}" if assessed else "-",
            style=_STYLES.get(one.status),
        )
    console.print(table)


def print_model(console: Console, model: ModelDescription) -> None:
    """Identity, classes, and what must be said of the model."""
    console.print(Text(f"{model.name} {model.version} on {model.engine}\nsha256 {model.sha256}"))
    table = Table()
    for heading in ("class", "present from", "pixel from", "definition"):
        table.add_column(heading)
    for one in model.classes:
        table.add_row(
            Text(str(one["name"])),
            f"{one['presence_threshold']:.3f}",
            f"{one['pixel_threshold']:.3f}",
            Text(str(one["definition"])),
        )
    console.print(table)
    for key, value in model.facts.items():
        console.print(Text(f"{key.replace('_', ' ')}: {value}"))
