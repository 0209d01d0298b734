"""The four hand features of the default model, as their definitions stand in its manifest."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FeatureClass:
    """What is known of a class before any model is trained."""

    name: str
    """As labels, requests and findings name it."""
    definition: str
    """What counts and what does not."""
    colour: str
    """For overlays, sRGB "#rrggbb"."""
    obscured_by: tuple[str, ...] = ()
    """Classes that hide this one."""


FEATURE_CLASSES = (
    FeatureClass(
        name="tattoo",
        definition="Outer contour of a tattooed design, enclosed skin counted in. Henna, pen "
        "marks, scars and freckles are not tattoos.",
        colour="#e63c3c",
    ),
    FeatureClass(
        name="ring",
        definition="Finger ring: visible band, stones and setting. Watches and bracelets are "
        "not rings.",
        colour="#3c8cff",
    ),
    FeatureClass(
        name="lunule",
        definition="Whitish half-moon at the base of a bare nail, from the cuticle to its "
        "distal border.",
        colour="#ffd228",
        obscured_by=("polished_nail",),
    ),
    FeatureClass(
        name="polished_nail",
        definition="Visible varnished plate of a nail, natural or artificial.",
        colour="#3cc85a",
    ),
)
"""In channel order of the default model."""


def feature_class(name: str) -> FeatureClass:
    """The class of that name; one with a plain definition where the name is not known."""
    for known in FEATURE_CLASSES:
        if known.name == name:
            return known
    return FeatureClass(
        name=name, definition=f"As the image-level label {name} of the training data.",
        colour="#b464dc",
    )  # fmt: skip
