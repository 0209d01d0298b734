"""What makes the models: weakly supervised training by the CoSA method.

The package reads pictures with image-level labels, trains a network that is its own
teacher (CoSA: co-training with swapping assignments, Yang et al., ECCV 2024), and writes
checkpoints that `hunique-export` turns into bundles::

    labels.csv + pictures -> data -> trainer <-> (network, assignment, pseudo_labels, losses)
                                        |
                                        +-> run folder: config, metrics, panels, checkpoint
    checkpoint + val pictures -> evaluation -> operating point (thresholds, calibration)

`torch` lives here and in `hunique_export`; nothing that serves imports this package.
"""
