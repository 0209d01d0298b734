"""What looks at pictures: from encoded bytes to findings, without a network protocol.

    encoded bytes -> image -> geometry (looks) -> engine (a bundle's network) -> mask, measure
                                                                       -> findings -> overlay

A `bundle` is a directory with a manifest and a network, pinned by digests; an `engine` runs
it; the `pipeline` ties both together and is what the server and the evaluation share, so
that a figure of the evaluation is a figure of what is served. `drawn` holds the renderer of
drawn hands. Nothing here imports torch or grpc.
"""
