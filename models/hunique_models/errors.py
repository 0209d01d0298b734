"""Everything that can go wrong with a picture, a bundle or an engine, as one tree.

This module is a leaf: it imports nothing of the package, and knows no transport; servers
map these classes to their own status codes::

    HuniqueError
    ├── InputError                  the caller's picture or wish; another picture may do
    │   ├── UnreadableImageError    no image, damaged, or cut short
    │   ├── UnsupportedImageError   an image, but of a kind that is not decoded here
    │   ├── ImageTooLargeError      more bytes or pixels than allowed
    │   └── UnknownClassError       a class that the model does not have
    ├── BundleError                 the model on disk
    │   ├── BundleFormatError       its manifest or layout is not what was expected
    │   └── BundleDigestError       a file is not the one that was signed for
    └── EngineError                 what runs the network
        ├── EngineUnavailableError  the device or runtime asked for is not there
        └── EngineRunError          a run failed

Every message says what was expected, what was found and what to do.
"""


class HuniqueError(Exception):
    """Base of all errors of hunique's models."""


class InputError(HuniqueError):
    """The picture or the wish cannot be served."""

    pixels: int = 0
    """Those of the picture whose decoding was begun before this was found; 0: it was not begun."""


class UnreadableImageError(InputError):
    """The bytes are no image, or a damaged one."""


class UnsupportedImageError(InputError):
    """The bytes are an image of a kind that is not decoded here."""


class ImageTooLargeError(InputError):
    """The image has more bytes or pixels than the limits allow."""


class UnknownClassError(InputError):
    """A class was asked for that the model does not have."""


class BundleError(HuniqueError):
    """The model on disk cannot be used."""


class BundleFormatError(BundleError):
    """The manifest or the layout of the bundle is not what was expected."""


class BundleDigestError(BundleError):
    """A file of the bundle is not the one that its manifest names."""


class EngineError(HuniqueError):
    """What runs the network failed."""


class EngineUnavailableError(EngineError):
    """The device or runtime asked for is not there."""


class EngineRunError(EngineError):
    """A run of the network failed."""
