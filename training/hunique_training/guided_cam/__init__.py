"""The talk's proof of concept: what guidance does to an activation map.

    truth | none | noise -> the same network, schedule and seed, three times
                         -> CAM mIoU on `val` against steps: a CSV and a plot

The activation map of a classifier is differentiable and not optimised; guided by masks it gets
better, by noise worse, and unguided it wanders. CoSA guides it by segmentation pseudo-labels,
because it has no masks: this experiment, which has, says how much there is to win.
"""
