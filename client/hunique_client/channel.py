"""Settings of every channel of this library."""

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # notice a server that vanished without a word
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
STREAM_IN_FLIGHT = 8
"""Pictures of one stream sent and not yet answered."""
DEFAULT_DEADLINE_S = 120.0
"""How long one picture may take."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits between tries to reach a server that was there before."""
