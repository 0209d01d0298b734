"""What can go wrong with an export.

ExportError
├── ParityError      the graph does not compute what the network computes
└── BuildError       TensorRT is not there or could not build an engine
"""


class ExportError(Exception):
    """Base of all errors of export."""


class ParityError(ExportError):
    """The exported graph disagrees with the trained network; nothing was written."""


class BuildError(ExportError):
    """No TensorRT engine could be built."""
