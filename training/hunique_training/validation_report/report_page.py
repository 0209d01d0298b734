"""The report as one HTML page; it fetches nothing and holds no picture unless asked to."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from hunique_training.evaluation.class_scores import Figure
from hunique_training.page import inline_image, page, pairs
from hunique_training.validation_report.charts import FEW_PICTURES, reliability_chart
from hunique_training.validation_report.contents import Contents
from hunique_training.validation_report.figure_tables import (
    main_table,
    part_table,
    spoken,
)
from hunique_training.validation_report.remarks import how_figures_are_counted, remarks_on
from hunique_training.validation_report.strata import LEAST_PICTURES
from hunique_training.validation_report.stress_section import stress_section
from hunique_training.validation_report.worst_cases import WorstCase

_STYLE = """
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem }
svg.bar { width: 84px; height: 9px; display: block }
svg.reliability { width: 250px }
.row { display: flex; flex-wrap: wrap; gap: 1.5rem } .row figure { margin: 0 }
.row svg:not(.bar, .reliability) { width: 620px }
.remarks { background: #fff7e0; border-left: 4px solid #d9a400; padding: .6rem 1rem; margin: 1rem 0 }
.remarks p { margin: .2rem 0 } .wide { overflow-x: auto }
table.parts { font-size: 13px } table.parts td { padding-right: .6rem; white-space: nowrap }
table.parts th:first-child { max-width: 240px; font-weight: 500 }
table.figures td { min-width: 150px }
figure.case { margin: .8rem 0 }
"""
_DIMENSIONS = {"skin_tone": "skin tone", "jpeg_quality": "JPEG quality"}


def as_page(contents: Contents, pictures: Sequence[bytes] = ()) -> str:
    """The page.

    Args:
        contents: what it says.
        pictures: a JPEG for each worst case, or none.
    """
    manifest = contents.setting.bundle.manifest
    colours = {spec.name: spec.colour for spec in manifest.classes}
    parts = [
        _head(contents),
        "<h2>Figures</h2>" + main_table(contents.classes, colours),
        _false_alarms(contents),
        _calibration(contents, colours),
        _parts(contents, colours),
        _across_sources(contents),
        stress_section(contents, colours),
        _run_times(contents),
        _worst(contents, pictures),
        "<h2>How figures are counted</h2>" + _list(how_figures_are_counted(contents)),
    ]
    return page(f"Validation of {manifest.name} {manifest.version}", parts, _STYLE)


def _head(contents: Contents) -> str:
    setting, manifest = contents.setting, contents.setting.bundle.manifest
    remarks = remarks_on(contents)
    told = "".join(f"<p>{escape(one)}</p>" for one in remarks)
    return (
        (f'<div class="remarks">{told}</div>' if told else "")
        + pairs({
            "model": f"{manifest.name} {manifest.version}, made {manifest.created_utc}",
            "SHA-256 of the bundle": setting.bundle.sha256,
            "learned from": manifest.training_data_statement,
            "run by": f"{setting.engine}, detail {setting.detail}",
            "pictures": f"{contents.pictures} of {contents.groups} groups, split {setting.split}",
            "could not be read": len(contents.unreadable) or None,
            "SHA-256 of the label file": setting.label_file_sha256,
        })
    )  # fmt: skip


def _false_alarms(contents: Contents) -> str:
    rows = ""
    for one in contents.false_alarms:
        low, high = one.interval_per_10_000
        figures = (
            f'<td class="n"><b>{one.per_10_000:.0f}</b></td><td class="n">{low:.0f} to {high:.0f}'
            if one.pictures
            else '<td></td><td class="n">not measured'
        )
        rows += (
            f"<tr><th>{spoken(one.name)}</th><td>{escape(one.population)}</td>"
            f'<td class="n">{one.pictures}</td><td class="n">{one.groups}</td>'
            f'<td class="n">{one.alarms}</td>{figures}</td></tr>'
        )
    return (
        "<h2>False alarms</h2><p>Pictures labelled without a class that get it all the same, at "
        "the thresholds of the bundle. Any class: pictures labelled with no class at all.</p>"
        '<table><tr><th>class</th><th>on</th><th class="n">pictures</th><th class="n">groups</th>'
        '<th class="n">alarms</th><th class="n">per 10,000</th><th class="n">95 % interval</th>'
        f"</tr>{rows}</table>"
    )


def _calibration(contents: Contents, colours: Mapping[str, str]) -> str:
    charts = "".join(
        f"<figure><figcaption><b>{spoken(one.name)}</b>, {one.pictures} pictures<br>"
        f"ECE {_told(one.ece)}<br>Brier {_told(one.brier)}</figcaption>"
        f"{reliability_chart(one, colours[one.name])}</figure>"
        for one in contents.calibrations
    )
    return (
        "<h2>Calibration</h2><p>Share of pictures that have the class, against the score that the "
        "model gave them: on the diagonal a score of 0.8 means eight in ten. Below, how many "
        "pictures there are in each tenth (height: square root). A point of fewer "
        f'than {FEW_PICTURES} pictures is pale and says little.</p><div class="row">{charts}</div>'
    )


def _told(figure: Figure) -> str:
    if math.isnan(figure.value):
        return "not measured"
    interval = "" if math.isnan(figure.low) else f" ({figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{interval}"


def _parts(contents: Contents, colours: Mapping[str, str]) -> str:
    tables = "".join(
        f"<h3>By {_DIMENSIONS.get(one.name, one.name)}</h3><p><small>{escape(one.explained)}"
        f"</small></p>{part_table(one, colours)}"
        for one in contents.dimensions
    )
    return (
        "<h2>Parts of the pictures</h2><p>Parts differ in more than their name: a source has its "
        "own camera, light and features. A figure of fewer than "
        f"{LEAST_PICTURES} pictures is not given (n = how many there are); the JSON has "
        f"all figures.</p>{tables}"
    )


def _across_sources(contents: Contents) -> str:
    rows = "".join(
        f'<tr><th>{spoken(one.name)}</th><td class="n">{one.sources_with_it}</td>'
        f'<td class="n">{one.sources_with_both}</td><td class="n">{_auc(one.auc_of_all_pairs)}</td>'
        f'<td class="n">{_auc(one.auc_within_sources)}</td>'
        f'<td class="n">{one.pairs_within_sources}</td></tr>'
        for one in contents.across_sources
    )
    return (
        "<h2>Across sources</h2><p>The chance that a picture with the class scores higher than one "
        "without it (AUC): over all pairs of pictures, and over pairs of the same source. Where "
        "the second is much lower, the score knows the source rather than the feature.</p>"
        '<table><tr><th>class</th><th class="n">sources with it</th><th class="n">with and without '
        'it</th><th class="n">AUC, all pairs</th><th class="n">AUC within sources</th>'
        f'<th class="n">pairs within</th></tr>{rows}</table><p>How the model does on a source that '
        "it never saw was <b>not</b> measured: that takes training without the source. Figures by "
        "source above are of a model that may have learned from every one of them.</p>"
    )


def _auc(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _run_times(contents: Contents) -> str:
    rows = "".join(
        f'<tr><th>{escape(one.hardware)}</th><td class="n">{one.pictures}</td>'
        f'<td class="n">{one.median_ms:.0f} ms</td><td class="n">{one.p90_ms:.0f} ms</td>'
        f'<td class="n">{one.median_looks:g}</td></tr>'
        for one in contents.run_times
    )
    return (
        "<h2>Run time</h2><p>Decoding, network and findings of one picture, one after another. "
        "What else the machine did counts too: benchmarks are made on an idle one.</p><table><tr>"
        '<th>on</th><th class="n">pictures</th><th class="n">median</th><th class="n">90th '
        f'percentile</th><th class="n">looks, median</th></tr>{rows}</table>'
    )


def _worst(contents: Contents, pictures: Sequence[bytes]) -> str:
    head = (
        f"<h2>The worst {len(contents.worst)} cases</h2><p>Class by class in turn: missed features "
        "and false alarms with the surest scores, then poor outlines. Rows are lines of the label "
        "file; names of files may be names of people.</p>"
    )
    if pictures:
        shown = "".join(
            f'<figure class="case">{inline_image(data, "jpeg", _caption(one))}<figcaption>'
            f"{escape(_caption(one))}</figcaption></figure>"
            for one, data in zip(contents.worst, pictures, strict=True)
        )
        return head + "<p>Left the picture, then the truth, then the result.</p>" + shown
    return (
        head + "<p>Pictures are left out, because a report is passed on: --with-pictures puts them "
        "in.</p>" + _list([_caption(one) for one in contents.worst])
    )


def _caption(one: WorstCase) -> str:
    iou = "" if math.isnan(one.iou) else f", IoU {one.iou:.2f}"
    name = one.class_name.replace("_", " ")
    return f"line {one.row}: {name}, {one.fault}, score {one.score:.2f}{iou}"


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in sentences)}</ul>"
