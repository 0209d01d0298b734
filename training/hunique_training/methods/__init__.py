"""Weakly supervised classifiers to compare CoSA with, each as the losses of a forward pass.

They train the classifiers of the same network, by the same trainer; the segmentation
decoder stays random. Their activation maps are what the talk's pipeline goes on from:
classifier -> activation maps -> refined pseudo-labels -> segmentation model.
"""
