"""Bytes that are no message, over the wire."""

from typing import Any

import grpc
import pytest

from hunique_proto.v1 import hand_features_pb2 as pb

Code = grpc.StatusCode


async def test_bytes_that_are_no_message_are_refused_without_a_trace(
    serve: Any, red_png: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """INVALID_ARGUMENT, and nothing in the log; what a stream sent before is answered first."""
    served = await serve()
    for method in ("Segment", "DescribeModel"):
        call = served.channel.unary_unary(f"/hunique.v1.HandFeatures/{method}")(b"\0")
        assert await call.code() is Code.INVALID_ARGUMENT
        assert "no message" in await call.details()
    good = pb.SegmentRequest(image=red_png, request_id="1").SerializeToString()
    stream = served.channel.stream_stream("/hunique.v1.HandFeatures/SegmentStream")
    call = stream(iter([good, b"\0", good]))
    assert pb.SegmentStreamResponse.FromString(await call.read()).response.request_id == "1"
    with pytest.raises(grpc.aio.AioRpcError, match="no message"):
        await call.read()
    assert await call.code() is Code.INVALID_ARGUMENT
    assert not [record for record in caplog.records if record.exc_info]
