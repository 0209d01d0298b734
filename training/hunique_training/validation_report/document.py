"""The report as JSON, of the schema in docs/validation.schema.json.

What cannot be said is null, with the reason beside it. Pictures are named by their row of
the label file: names of files may be names of people.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from hunique_training.evaluation.class_scores import Figure
from hunique_training.validation_report.calibration import BINS, BinColumn, Calibration
from hunique_training.validation_report.class_figures import ClassFigures, Measured
from hunique_training.validation_report.contents import Contents, Setting
from hunique_training.validation_report.false_alarms import FalseAlarms
from hunique_training.validation_report.strata import LEAST_PICTURES

SCHEMA_VERSION = 1
"""Grows when the meaning of a member changes; members may be added without that."""
_DIGITS = 5


def as_document(contents: Contents) -> dict[str, Any]:
    """Everything of a report but pictures."""
    return {
        "schema_version": SCHEMA_VERSION,
        "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "hunique_version": version("hunique"),
        "model": _model(contents.setting),
        "data": _data(contents),
        "method": {
            "resamples": contents.setting.resamples,
            "border_tolerance_share": contents.setting.tolerance_share,
            "least_pictures_of_a_part": LEAST_PICTURES,
            "instance_matching": "greedy, highest IoU first",
            "false_alarm_interval": "Clopper-Pearson",
        },
        "classes": _classes(contents.classes),
        "parts": [
            {
                "dimension": one.name,
                "explained": one.explained,
                "parts": [
                    {"name": part.name, "pictures": part.pictures, "groups": part.groups,
                     "classes": _classes(part.classes)}
                    for part in one.strata
                ],
            }
            for one in contents.dimensions
        ],
        "false_alarms": [_false_alarms(one) for one in contents.false_alarms],
        "calibration": [_calibration(one) for one in contents.calibrations],
        "across_sources": _plain(contents.across_sources),
        "stress": [
            {**_entry(one.variant), "pictures": one.pictures, "classes": _classes(one.classes)}
            for one in contents.stressed
        ],
        "run_times": _plain(contents.run_times),
        "worst_cases": _plain(contents.worst),
    }  # fmt: skip


def _model(setting: Setting) -> dict[str, Any]:
    manifest = setting.bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "sha256": setting.bundle.sha256,
        "created_utc": manifest.created_utc,
        "training_data_statement": manifest.training_data_statement,
        "engine": setting.engine,
        "detail": setting.detail,
        "thresholds": [
            {"name": spec.name, "presence": spec.presence_threshold,
             "pixel": spec.pixel_threshold, "min_area_share": spec.min_area_share}
            for spec in manifest.classes
        ],
    }  # fmt: skip


def _data(contents: Contents) -> dict[str, Any]:
    setting = contents.setting
    return {
        "label_file_sha256": setting.label_file_sha256,
        "split": setting.split,
        "pictures": contents.pictures,
        "groups": contents.groups,
        "pictures_without_group": contents.ungrouped,
        "pooled_pictures_without_hands": contents.pooled,
        "pooled_from_splits": list(setting.pool_from),
        "model_was_made_with_this_label_file": setting.chosen_on_these,
        "unreadable": _plain(contents.unreadable),
    }


def _classes(classes: Sequence[ClassFigures]) -> list[dict[str, Any]]:
    return [
        {
            "name": one.name,
            "present": one.present,
            "absent": one.absent,
            "masks": one.masks,
            "not_assessable": one.not_assessable,
            "figures": {name: _measured(measured) for name, measured in one.figures.items()},
        }
        for one in classes
    ]


def _measured(measured: Measured) -> dict[str, Any]:
    figure = measured.figure
    return {
        "value": _number(figure.value),
        "interval_95": _interval(figure),
        "pictures": measured.pictures,
        "missing": measured.missing or None,
    }


def _interval(figure: Figure) -> list[float | None] | None:
    if math.isnan(figure.low):
        return None
    return [_number(figure.low), _number(figure.high)]


def _false_alarms(one: FalseAlarms) -> dict[str, Any]:
    return _entry(one) | {
        "per_10000": _number(one.per_10_000),
        "interval_95_per_10000": [_number(bound) for bound in one.interval_per_10_000],
    }


def _calibration(one: Calibration) -> dict[str, Any]:
    return {
        "name": one.name,
        "pictures": one.pictures,
        "ece": {"value": _number(one.ece.value), "interval_95": _interval(one.ece)},
        "brier": {"value": _number(one.brier.value), "interval_95": _interval(one.brier)},
        "bins": [
            {
                "from_score": number / BINS,
                "pictures": int(sums[BinColumn.PICTURES]),
                "present": int(sums[BinColumn.PRESENT]),
                "mean_score": _number(
                    sums[BinColumn.SCORE] / sums[BinColumn.PICTURES]
                    if sums[BinColumn.PICTURES]
                    else math.nan
                ),
            }
            for number, sums in enumerate(one.bins)
        ],
    }


def _plain(entries: Iterable[Any]) -> list[dict[str, Any]]:
    return [_entry(one) for one in entries]


def _entry(one: Any) -> dict[str, Any]:
    """A dataclass of plain values, NaN as null."""
    return {
        name: _number(value) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(one).items()
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), _DIGITS)
