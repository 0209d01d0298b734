"""What serves many at once: `hunique.v1.HandFeatures` and the Open Inference Protocol, over gRPC.

    request -> admission -> decode (threads) -> batcher -> engine -> findings (threads) -> answer

The server decides nothing about pictures: `hunique_models` does. It decides who waits, who
is refused, and that one caller's picture never harms another's.
"""
