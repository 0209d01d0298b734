"""Settings of every channel of this library."""

CHANNEL_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # notice a server that vanished without a word
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # notice soon that a server is back
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # where a name stands for several servers, spread calls over them
    ("grpc.lb_policy_name", "round_robin"),
)
CLEAR_CHANNEL_OPTIONS = (*CHANNEL_OPTIONS, ("grpc.enable_http_proxy", 0))
"""Of channels that are not encrypted: no proxy of HTTP reads along."""
STREAM_IN_FLIGHT = 8
"""Pictures of one stream sent and not yet answered."""
DEFAULT_DEADLINE_S = 120.0
"""How long one picture may take."""
DESCRIBE_DEADLINE_S = 30.0
"""How long a description of the model may take."""
STALLED_S = 300.0
"""How long a stream with unanswered pictures may be silent before it is given up."""
RECONNECT_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 10.0)
"""Waits between tries to reach a server that was there before."""
NOTICED_S = 0.5
"""How soon Ctrl-C is noticed at the latest while answers are waited for.

A signal that arrives between the interpreter's look at it and the wait itself does not end
that wait; so none of these waits is longer than this.
"""
