"""The CoSA network: encoder, CAM heads, segmentation decoder. `nn.Module`s and nothing else."""
