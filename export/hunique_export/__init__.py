"""Export: from a checkpoint to a graph, an engine and a bundle, with proof of parity."""
