"""A run as one HTML page: nothing in it is fetched from anywhere, and nothing runs.

    run folder -> configuration, counts, curves (SVG), panels (PNG in base64), figures -> page

Files that a run has not written yet are left out, so that a page can be made of a run at work.
The page names no file of a picture.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from hunique_training.checkpoint import CheckpointError
from hunique_training.curves import read_curve
from hunique_training.evaluation.protocol import Protocol
from hunique_training.line_chart import line_chart
from hunique_training.page import inline_image, page, pairs
from hunique_training.run_record import RECORD
from hunique_training.step import PartLosses
from hunique_training.trainer import METRICS, VALIDATION


def write_report(run_folder: Path, path: Path, panel_count: int = 3) -> None:
    """Write the page of a run.

    Args:
        run_folder: of a run that has begun.
        path: the page.
        panel_count: at most so many panels, from the first to the last.

    Raises:
        CheckpointError: the folder holds no run.
    """
    config = _json(run_folder / "config.json")
    if config is None:
        raise CheckpointError(f"{run_folder}: expected a run with a config.json, found none")
    metrics, validated = (read_curve(run_folder / name) for name in (METRICS, VALIDATION))
    summary = _json(run_folder / "summary.json") or {}
    parts = [
        _run(config, summary, metrics),
        _data(_json(run_folder / RECORD) or {}, summary),
        "<h2>Losses</h2>" + _curves(metrics, PartLosses._fields, "losses"),
        "<h2>Thresholds and weights</h2>"
        + _curves(metrics, ("threshold", "auxiliary_threshold"), "thresholds of the CAMs")
        + _curves(metrics, ("foreground_weight",), "mean weight of foreground pixels"),
        _validation(validated, _json(run_folder / "validation.json")),
        _panels(sorted((run_folder / "panels").glob("step-*.png")), panel_count),
        f"<h2>Configuration</h2><pre>{escape(json.dumps(config, indent=2))}</pre>",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(f"Run {run_folder.resolve().name}", parts), encoding="utf-8")


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _run(
    config: Mapping[str, Any], summary: Mapping[str, Any], metrics: Sequence[Mapping[str, float]]
) -> str:
    done = summary.get("steps_done", int(metrics[-1]["step"]) if metrics else 0)
    stopped = ", stopped early" if summary.get("stopped_early") else ""
    parts = config.get("accumulate", 1)
    rows = {
        "preset": config["preset"],
        "encoder": config["network"]["encoder"],
        "steps": f"{done} of {config['total_steps']}{stopped}",
        "pictures of a step": f"{config['batch_size']} x {parts}" if parts > 1
        else config["batch_size"],
        "crop": f"{config['views']['size_px']} px",
        "precision": config.get("precision", "float32"),
        "seed": config["seed"],
        "model is of step": summary.get("model_step"),
        "device": summary.get("device"),
        "processes": summary.get("processes"),
        "time in training": _duration(summary.get("duration_s")),
    } | summary.get("versions", {})  # fmt: skip
    return "<h2>Run</h2>" + pairs(rows)


def _duration(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60} h {minutes % 60} min {rest} s"


def _data(record: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    digests = record.get("digests", {})
    rows = {
        "pictures to train on": summary.get("pictures"),
        "unreadable": summary.get("unreadable_pictures"),
        "pictures of all splits": digests.get("pictures"),
        "SHA-256 of pictures": digests.get("pictures_sha256"),
        "SHA-256 of labels": digests.get("labels_sha256"),
    }
    sources = {f"to train on, of {name or 'no named source'}": count
               for name, count in summary.get("pictures_by_source", {}).items()}  # fmt: skip
    return "<h2>Data</h2>" + pairs(rows | sources)


def _curves(rows: Sequence[Mapping[str, float]], names: Iterable[str], title: str) -> str:
    """Those that were written; a loss that a run does not use was written as 0."""
    curves = {
        name: [(row["step"], row[name]) for row in rows]
        for name in names
        if any(row.get(name, 0.0) != 0.0 for row in rows)
    }
    return line_chart(curves, title)


def _validation(validated: Sequence[Mapping[str, float]], scores: Any) -> str:
    parts = ["<h2>Validation</h2>"]
    if validated:
        names = [name for name in validated[0] if name != "step"]
        curves = {name: [(row["step"], row[name]) for row in validated] for name in names}
        parts.append(line_chart(curves, "label-free IoU on val while training"))
    for protocol in Protocol if scores else ():
        parts.append(_scores(scores, str(protocol)))
    if len(parts) == 1:
        parts.append("<p>Nothing on val yet.</p>")
    return "".join(parts)


def _scores(scores: Sequence[Mapping[str, Any]], protocol: str) -> str:
    figures = [n for n, value in scores[0][protocol].items() if not isinstance(value, dict)]
    heading = "".join(f'<th class="n">{escape(n.replace("_", " "))}</th>' for n in figures)
    rows = "".join(
        f'<tr><th>{escape(one["name"].replace("_", " "))}</th><td class="n">{one["masks"]}</td>'
        + "".join(f'<td class="n">{_figure(one[protocol], n)}</td>' for n in figures)
        + "</tr>"
        for one in scores
    )
    return (
        f"<h3>{escape(protocol)}, below each figure its 95 % interval</h3><table><tr><th>class</th>"
        f'<th class="n">masks</th>{heading}</tr>{rows}</table>'
    )


def _figure(figures: Mapping[str, Any], name: str) -> str:
    value = figures[name]
    low, high = figures.get("intervals_95", {}).get(name) or (None, None)
    interval = "" if low is None else f"<br><small>{low:.2f} to {high:.2f}</small>"
    return "-" if value is None else f"{value:.3f}{interval}"


def _panels(paths: Sequence[Path], count: int) -> str:
    if not paths:
        return "<h2>Panels</h2><p>None yet: the first comes with the first checkpoint.</p>"
    last = len(paths) - 1
    places = sorted({round(last * n / max(1, count - 1)) for n in range(count)} if count > 1
                    else {last})  # fmt: skip
    drawn = [_panel(paths[place], shown=place == last) for place in reversed(places)]
    return "<h2>Panels</h2>" + "".join(drawn)


def _panel(path: Path, *, shown: bool) -> str:
    step = int(path.stem.removeprefix("step-"))
    image = inline_image(path.read_bytes(), "png", f"panels after step {step}")
    opened = " open" if shown else ""
    return (
        f"<details{opened}><summary>after step {step}</summary><figure>{image}</figure></details>"
    )
