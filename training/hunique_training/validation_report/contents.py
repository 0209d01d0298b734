"""Everything that a report says, worked out of the tallies once; pages and JSON only write it."""

from collections.abc import Sequence
from dataclasses import dataclass

from hunique_models.bundle import Bundle
from hunique_training.evaluation.bootstrap import DEFAULT_RESAMPLES
from hunique_training.evaluation.borders import DEFAULT_TOLERANCE_SHARE
from hunique_training.validation_report.across_sources import AcrossSources, compare_sources
from hunique_training.validation_report.calibration import Calibration, calibrations_of
from hunique_training.validation_report.cases import Case
from hunique_training.validation_report.class_figures import ClassFigures, score_classes_of
from hunique_training.validation_report.examined import Examined
from hunique_training.validation_report.examining import Unreadable
from hunique_training.validation_report.false_alarms import FalseAlarms, count_false_alarms
from hunique_training.validation_report.picture_tally import PictureTally
from hunique_training.validation_report.run_times import RunTimes, run_times_of
from hunique_training.validation_report.strata import Dimension, part_by_all
from hunique_training.validation_report.tally_file import Key
from hunique_training.validation_report.variants import AS_IT_IS, Variant
from hunique_training.validation_report.worst_cases import WorstCase, worst_cases


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What was asked for, as far as figures depend on it."""

    bundle: Bundle
    """The model."""
    engine: str
    """What ran it, with versions."""
    detail: str
    """How closely was looked."""
    split: str
    """Rows of the label file."""
    label_file_sha256: str
    """The label file."""
    pool_from: tuple[str, ...] = ()
    """Splits of further pictures without hands."""
    resamples: int = DEFAULT_RESAMPLES
    """How often groups were drawn."""
    tolerance_share: float = DEFAULT_TOLERANCE_SHARE
    """Share of the diagonal within which borders match."""

    @property
    def chosen_on_these(self) -> bool:
        """Whether the model was made with this very label file, its thresholds chosen on `val`."""
        return self.label_file_sha256 in self.bundle.manifest.training.get("label_file_sha256", ())


@dataclass(frozen=True, kw_only=True)
class Stressed:
    """Figures of the same pictures, sent worse."""

    variant: Variant
    """How."""
    pictures: int
    """How many."""
    classes: tuple[ClassFigures, ...]
    """Their figures."""


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A report before it is written."""

    setting: Setting
    """What was asked for."""
    pictures: int
    """Examined, without those pooled."""
    pooled: int
    """Pictures without hands of other splits, which count as false alarms alone."""
    groups: int
    """Groups of the pictures."""
    ungrouped: int
    """Pictures without a group, each its own."""
    unreadable: tuple[Unreadable, ...]
    """Left out."""
    classes: tuple[ClassFigures, ...]
    """Figures of all pictures."""
    dimensions: tuple[Dimension, ...]
    """Figures of parts of them."""
    false_alarms: tuple[FalseAlarms, ...]
    """At the thresholds of the bundle."""
    calibrations: tuple[Calibration, ...]
    """Of image-level scores."""
    across_sources: tuple[AcrossSources, ...]
    """Whether the source tells the class."""
    stressed: tuple[Stressed, ...]
    """Pictures as they are first, then worse; empty where that was not asked for."""
    run_times: tuple[RunTimes, ...]
    """Of pictures as they are."""
    worst: tuple[WorstCase, ...]
    """What to look at first."""


def work_out(
    setting: Setting,
    cases: Sequence[Case],
    tallies: dict[Key, PictureTally],
    variants: Sequence[Variant],
    unreadable: Sequence[Unreadable],
) -> Contents:
    """Every figure of the report.

    Args:
        setting: what was asked for.
        cases: the pictures that could be read, at least one that is not pooled.
        tallies: of each of them.
        variants: those that were run; pictures as they are among them.
        unreadable: what was left out.
    """
    names, resamples = setting.bundle.manifest.class_names, setting.resamples
    everything = [(case, tallies[case.row, AS_IT_IS.name]) for case in cases]
    pairs = [(case, tally) for case, tally in everything if not case.pooled]
    own = [case for case, _ in pairs]
    examined = Examined.gather(pairs, len(names))
    return Contents(
        setting=setting,
        pictures=len(pairs),
        pooled=len(everything) - len(pairs),
        groups=len({case.group for case in own}),
        ungrouped=sum(not case.truth.picture.group for case in own),
        unreadable=tuple(unreadable),
        classes=score_classes_of(examined, names, resamples),
        dimensions=part_by_all(pairs, examined, names, resamples),
        false_alarms=count_false_alarms(cases, Examined.gather(everything, len(names)), names),
        calibrations=calibrations_of(examined, names, resamples),
        across_sources=compare_sources(examined, names),
        stressed=_stressed(setting, own, tallies, variants),
        run_times=run_times_of([tally for _, tally in pairs]),
        worst=worst_cases(own, examined, names),
    )


def _stressed(
    setting: Setting,
    cases: Sequence[Case],
    tallies: dict[Key, PictureTally],
    variants: Sequence[Variant],
) -> tuple[Stressed, ...]:
    """Nothing where pictures were sent as they are alone."""
    names = setting.bundle.manifest.class_names
    stressed = []
    for variant in variants if len(variants) > 1 else ():
        pairs = [(case, tallies[case.row, variant.name]) for case in cases]
        figures = score_classes_of(Examined.gather(pairs, len(names)), names, setting.resamples)
        stressed.append(Stressed(variant=variant, pictures=len(pairs), classes=figures))
    return tuple(stressed)
