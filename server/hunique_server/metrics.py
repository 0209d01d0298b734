"""Prometheus metrics of one server. No label ever holds a name or a picture."""

from collections.abc import Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

_DURATION_BUCKETS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


ModelLabels = tuple[str, str, str, str]
"""Name, version, SHA-256 and engine."""


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "hunique_requests_total", "Pictures answered, by method and gRPC code.",
            ["method", "code"], registry=self.registry,
        )  # fmt: skip
        self.request_duration = self._durations("request", "From receipt to answer.", ["method"])
        self.queue_duration = self._durations("queue", "Waiting for the engine.")
        self.decode_duration = self._durations("decode", "Decoding and cutting looks.")
        self.inference_duration = self._durations("inference", "Runs of the engine.")
        self.postprocess_duration = self._durations("postprocess", "Findings and encoding.")
        self.batch_size = Histogram(
            "hunique_batch_size", "Looks in one run of the engine.",
            buckets=(1, 2, 4, 7, 8, 14, 16, 32, 64), registry=self.registry,
        )  # fmt: skip
        self.queue_items = Gauge(
            "hunique_queue_items", "Pictures admitted and not yet answered.",
            registry=self.registry,
        )  # fmt: skip
        self.queue_bytes = Gauge(
            "hunique_queue_bytes", "Encoded bytes admitted and not yet answered.",
            registry=self.registry,
        )  # fmt: skip
        self.open_calls = self._gauge("open_calls", "Calls with pictures that are open.")
        self.waiting_items = self._gauge("waiting_items", "Pictures of streams that wait for room.")
        self.waiting_bytes = self._gauge("waiting_bytes", "Their encoded bytes.")
        self.queue_looks = Gauge(
            "hunique_queue_looks", "Looks of decoded pictures that wait for their run.",
            ["priority"], registry=self.registry,
        )  # fmt: skip
        self.runs = Counter(
            "hunique_runs_total", "Runs of the engine, by the threads of each.",
            ["threads"], registry=self.registry,
        )  # fmt: skip
        self.decoders_busy = self._gauge("decoders_busy", "Decoder processes that have a picture.")
        self.decoders_replaced = Counter(
            "hunique_decoders_replaced_total", "Decoder processes replaced, by reason.",
            ["reason"], registry=self.registry,
        )  # fmt: skip
        self._count_outcomes()

    def _count_outcomes(self) -> None:
        self.rejected = Counter(
            "hunique_rejected_total", "Pictures refused, by reason.",
            ["reason"], registry=self.registry,
        )  # fmt: skip
        self.turned_away = Counter(
            "hunique_turned_away_total", "Calls that were not let in, by reason.",
            ["reason"], registry=self.registry,
        )  # fmt: skip
        self.findings = Counter(
            "hunique_findings_total", "Findings by class and status.",
            ["class", "status"], registry=self.registry,
        )  # fmt: skip
        self._model_info = Gauge(
            "hunique_model_info", "The models in memory.",
            ["name", "version", "sha256", "engine"], registry=self.registry,
        )  # fmt: skip
        self._named_models: set[ModelLabels] = set()
        self.audit_entries = self._gauge("audit_entries", "Entries of the audit log on disk.")
        self.audit_failing = self._gauge("audit_failing", "1 while it cannot be written.")
        self.certificate_expiry = self._gauge(
            "tls_certificate_expiry_timestamp_seconds", "When the certificate ends; 0: none."
        )

    def name_models(self, models: Iterable[ModelLabels]) -> None:
        """Say which models are in memory now: name, version, digest and engine of each."""
        named = set(models)
        for gone in self._named_models - named:
            self._model_info.remove(*gone)
        for model in named:
            self._model_info.labels(*model).set(1)
        self._named_models = named

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"hunique_{name}", what, registry=self.registry)

    def _durations(self, name: str, what: str, labels: list[str] | None = None) -> Histogram:
        return Histogram(
            f"hunique_{name}_duration_seconds", what, labels or [],
            buckets=_DURATION_BUCKETS_S, registry=self.registry,
        )  # fmt: skip
