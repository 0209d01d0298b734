"""Traces by OpenTelemetry: one span a request, with its stages below it. Off by default.

Exporter, sampler, service name and the rest are chosen by OpenTelemetry's own OTEL_*
variables. The caller's W3C `traceparent` is the parent. Stages are measured durations; the
waits between them are not, so stages stand against the ends between which they happened.
"""

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hunique_server.picture_record import Examined, PictureRecord

_FAULTS_OF_OURS = frozenset(("INTERNAL", "UNKNOWN", "UNAVAILABLE", "DATA_LOSS"))


class Traces:
    """Makes spans of what it observes.

    Args:
        processor: where they go; None: to the OTLP endpoint of OTEL_EXPORTER_OTLP_ENDPOINT.
    """

    def __init__(self, processor: SpanProcessor | None = None) -> None:
        resource = Resource.create().merge(_service_name(Resource.create()))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor or BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("hunique_server")
        self._propagator = TraceContextTextMapPropagator()

    def observe(self, record: PictureRecord) -> None:
        """Make the spans of a request."""
        parent = self._propagator.extract(dict(record.metadata))
        span = self._tracer.start_span(
            record.method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.method": record.method},
            start_time=record.started_ns,
        )
        span.set_attribute("rpc.grpc.status_code", record.code.value[0])
        if record.code.name in _FAULTS_OF_OURS:
            span.set_status(Status(StatusCode.ERROR))
        if record.examined and span.is_recording():
            span.set_attribute("hunique.model_sha256", record.examined[0].model_sha256)
            span.set_attribute("hunique.look_count", sum(e.look_count for e in record.examined))
            within = set_span_in_context(span)
            for examined in record.examined:
                for name, start_ns, end_ns in stages(examined):
                    stage = self._tracer.start_span(name, context=within, start_time=start_ns)
                    stage.end(end_ns)
        span.end(record.ended_ns)

    def close(self) -> None:
        """Send what is left; waits for some seconds at most."""
        self._provider.shutdown()


def stages(examined: Examined) -> tuple[tuple[str, int, int], ...]:
    """Names, begins and ends of the stages of one picture, since the epoch in ns."""
    end_ns = examined.ended_ns
    start_ns = end_ns - examined.total_ns
    drawing_ns = end_ns - examined.postprocess_ns
    run_ns = drawing_ns - examined.inference_ns
    return (
        ("decode", start_ns, start_ns + examined.decode_ns),
        ("queue", run_ns - examined.queue_ns, run_ns),
        ("inference", run_ns, drawing_ns),
        ("postprocess", drawing_ns, end_ns),
    )


def _service_name(found: Resource) -> Resource:
    named = str(found.attributes.get(SERVICE_NAME, "unknown_service"))
    name = "hunique-server" if named.startswith("unknown_service") else named
    return Resource({SERVICE_NAME: name})
