"""The losses of CoSA, a module each: classification, CAM to segmentation, segmentation to CAM."""
