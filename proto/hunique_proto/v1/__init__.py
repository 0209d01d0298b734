"""Version 1 of the wire: generated from `hand_features.proto`, which carries the comments."""
