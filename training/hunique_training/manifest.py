"""From a checkpoint to the manifest that a bundle of it carries.

Evaluation needs the same geometry and thresholds that will be served, so the manifest is
made here; export adds names, parity and digests.
"""

from collections.abc import Sequence

from hunique_models.colour_refinement import ColourRefinement
from hunique_models.feature_classes import feature_class
from hunique_models.geometry import Geometry, LevelMean
from hunique_models.manifest import Calibration, ClassSpec, Manifest
from hunique_training.checkpoint import ClassOperatingPoint, ModelCheckpoint
from hunique_training.network.cosa import NetworkConfig

MIN_AREA_SHARE = 5e-5
"""Instances below this share of the picture are noise at the network's resolution."""
OVERVIEW_ZOOM = 5 / 7
"""Size of the overview: close-ups fill three quarters to all of a crop of 384 px in training, and
would fill all of 448 px."""
MAX_TILE_ZOOM = 2.0
"""Small pictures are looked at enlarged as well: the grid of the network is coarse."""
SIGHT_SHARE = 0.5
"""On large photographs far levels do not see small features, and would outvote those that do. At
half the presence threshold nothing changes on pictures that hands fill."""
_UNCHOSEN = ClassOperatingPoint(presence_threshold=0.5, pixel_threshold=0.5)


def manifest_of(model: ModelCheckpoint) -> Manifest:
    """The manifest of a checkpoint, without names of a release, parity and files.

    Classes without an operating point are served at 0.5.
    """
    network = model.network.config
    in_overview = network.classes_in_overview or (False,) * len(network.class_names)
    return Manifest(
        name="unnamed",
        version="0.0.0",
        created_utc="1970-01-01T00:00:00Z",
        licence="not stated",
        intended_use="not stated",
        training_data_statement="not stated",
        geometry=Geometry(
            input_size_px=model.input_size_px,
            output_stride_px=model.network.decoder.stride_px,
            overview_zoom=OVERVIEW_ZOOM if any(in_overview) else 0.0,
            max_tile_zoom=MAX_TILE_ZOOM,
            level_mean=LevelMean.LOG_ODDS,
            sight_share=SIGHT_SHARE,
            hand_plane=network.hand_map,
        ),
        classes=tuple(
            _class_spec(name, model.operating_point.get(name, _UNCHOSEN), seen, refinement)
            for name, seen, refinement in zip(
                network.class_names, in_overview, _refinements(network), strict=True
            )
        ),
        training=model.training,
    )


def _refinements(network: NetworkConfig) -> Sequence[ColourRefinement | None]:
    count = len(network.class_names)
    if not network.mask_colour_weights:
        return (None,) * count
    pale_weights = network.mask_pale_weights or (0.0,) * count
    return [
        ColourRefinement(colour_weight=colour_weight, pale_weight=pale_weight)
        for colour_weight, pale_weight in zip(
            network.mask_colour_weights, pale_weights, strict=True
        )
    ]


def _class_spec(
    name: str,
    point: ClassOperatingPoint,
    in_overview: bool,
    refinement: ColourRefinement | None,
) -> ClassSpec:
    known = feature_class(name)
    return ClassSpec(
        name=name,
        definition=known.definition,
        colour=known.colour,
        presence_threshold=point.presence_threshold,
        pixel_threshold=point.pixel_threshold,
        min_area_share=MIN_AREA_SHARE,
        calibration=Calibration(scale=point.calibration_scale, offset=point.calibration_offset),
        obscured_by=known.obscured_by,
        in_overview=in_overview,
        refinement=refinement,
    )
