"""The second stage: a segmentation network of its own, taught by labels of every pixel.

    model.pt + pictures + image labels -> generation -> folder of pseudo-labels
    folder of pseudo-labels, or truth  -> fitting    -> model.pt, as `fit` writes it
    both model.pt + val                -> ratio      -> how much of full supervision is reached

The pseudo-labels are a weakly supervised model's own; `truth_labels` alone reads masks of
training pictures, for the fully supervised upper bound.
"""
