"""Traces: spans of requests and their stages, in the trace that the caller began."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server import tracing

SECRET = "martha-jones-left-hand"  # noqa: S105 - a name of a picture
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where spans go instead of to a collector."""
    exporter = InMemorySpanExporter()
    made = tracing.Traces

    def start() -> tracing.Traces:
        return made(SimpleSpanProcessor(exporter))

    monkeypatch.setattr(tracing, "Traces", start)
    return exporter


def _by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


async def test_trace_goes_on_where_the_caller_began_it(
    serve: Any, spans: InMemorySpanExporter, red_png: bytes
) -> None:
    """A request is a span of the caller's trace, with a span for each stage as long as it took."""
    served = await serve(traces=True)
    metadata = (("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01"),)
    answer = await served.stub.Segment(
        pb.SegmentRequest(image=red_png, request_id=SECRET), metadata=metadata
    )
    found = _by_name(spans)
    request = found.pop("Segment")
    assert request.kind is SpanKind.SERVER
    assert request.context is not None
    assert f"{request.context.trace_id:032x}" == TRACE_ID
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == SPAN_ID
    timings = answer.provenance.timings
    for name in ("decode", "queue", "inference", "postprocess"):
        stage = found.pop(name)
        assert stage.parent is not None
        assert stage.parent.span_id == request.context.span_id
        assert stage.start_time is not None
        assert stage.end_time is not None
        assert stage.end_time - stage.start_time == getattr(timings, f"{name}_ns")
    assert not found
    assert dict(request.attributes or {})["rpc.grpc.status_code"] == 0
    assert SECRET not in "".join(span.to_json() for span in spans.get_finished_spans())


async def test_trace_of_a_stream_and_of_what_failed(
    serve: Any, spans: InMemorySpanExporter, obedient: Any, poison_png: bytes, red_png: bytes
) -> None:
    """Each picture of a stream is a span; a fault of ours is marked, a bad picture is not."""
    served = await serve(obedient, traces=True)
    pictures = [red_png, b"no picture", poison_png]
    requests = [pb.SegmentRequest(image=p, request_id=str(i)) for i, p in enumerate(pictures)]
    async for _ in served.stub.SegmentStream(iter(requests)):
        """Every answer."""
    roots = [span for span in spans.get_finished_spans() if span.name == "SegmentStream"]
    codes = {dict(s.attributes or {})["rpc.grpc.status_code"]: s.status.status_code for s in roots}
    assert codes == {0: StatusCode.UNSET, 3: StatusCode.UNSET, 13: StatusCode.ERROR}


async def test_nobody_is_traced_unless_told(
    serve: Any, spans: InMemorySpanExporter, red_png: bytes
) -> None:
    """Traces are off by default, whatever the caller sends; garbage there harms nothing."""
    served = await serve()
    metadata = (("traceparent", f"00-{TRACE_ID}-{SPAN_ID}-01"),)
    assert (await served.stub.Segment(pb.SegmentRequest(image=red_png), metadata=metadata)).findings
    assert not spans.get_finished_spans()
    traced = await serve(traces=True)
    for garbage in ("", "00-zz", "x" * 4000):
        assert await traced.stub.Segment(
            pb.SegmentRequest(image=red_png), metadata=(("traceparent", garbage),)
        )
