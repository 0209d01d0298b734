"""The losses of CoSA, a module each.

Classification, CAM to segmentation, segmentation to CAM; the paper's contrastive separation;
the release's dense energy.
"""
