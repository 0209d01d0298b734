"""The Open Inference Protocol: generated from `open_inference.proto`.

A process that also imports other people's stubs of package `inference` (tritonclient's, for
one) ends with a clash of names: protobuf knows one definition of a message a process.
"""
