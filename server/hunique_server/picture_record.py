"""What becomes of each picture, for those who keep account: audit log, traces, quotas.

    interceptor: enter_call(scope)
    per picture: open_record -> pixel_account -> note_examined -> close_record -> observers

A record holds digests, sizes and durations, never pixels or names of pictures. Where no
scope was entered, as in tests of parts, nothing is kept.
"""

import logging
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import grpc

from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_server.identity import Identity

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One examined picture of a request."""

    input_sha256: str
    """Of the encoded picture."""
    model_sha256: str
    """Of the bundle."""
    look_count: int
    """Looks of the network at it."""
    decode_ns: int
    """Decoding and cutting looks."""
    queue_ns: int
    """Waiting for the engine."""
    inference_ns: int
    """The run of its batch."""
    postprocess_ns: int
    """Findings and encoding."""
    total_ns: int
    """From admission to the answer."""
    ended_ns: int
    """Since the epoch."""


@dataclass(frozen=True)
class ModelChange:
    """A model that was to be loaded or unloaded."""

    model: str
    """As it was asked for: NAME or NAME:VERSION."""
    sha256: str = ""
    """What it was, once that is known."""


@dataclass(kw_only=True)
class PictureRecord:
    """One request: one picture, or several in the Open Inference Protocol."""

    method: str
    """Without its service."""
    identity: Identity
    """Who asked."""
    metadata: Mapping[str, str]
    """Of the call; for the context of traces."""
    started_ns: int
    """Since the epoch."""
    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN
    """What became of it."""
    ended_ns: int = 0
    """Since the epoch."""
    refused: bool = False
    """Whether it was turned away at the door."""
    examined: list[Examined] = field(default_factory=list)
    """Pictures that were answered."""
    change: "ModelChange | None" = None
    """What was to be loaded or unloaded."""

    @property
    def model_sha256(self) -> str:
        """Digest of the bundle that took part; empty where none did."""
        if self.change is not None:
            return self.change.sha256
        return self.examined[0].model_sha256 if self.examined else ""


class Observer(Protocol):
    """Keeps account of records."""

    def observe(self, record: PictureRecord) -> None:
        """A request has ended."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is known of a call before its pictures are."""

    identity: Identity
    """Who calls."""
    metadata: Mapping[str, str]
    """Of the call."""
    observers: tuple[Observer, ...] = ()
    """Who is told of its requests."""
    spend_pixels: Callable[[str, int], None] | None = None
    """Told whose pixels were decoded, and how many."""


_scope: ContextVar[Scope | None] = ContextVar("hunique_scope", default=None)
_record: ContextVar[PictureRecord | None] = ContextVar("hunique_record", default=None)
_change: ContextVar[ModelChange | None] = ContextVar("hunique_change", default=None)


def enter_call(scope: Scope) -> None:
    """From now on, in this task and those that it starts, work is for this call."""
    _scope.set(scope)


def open_record(method: str) -> PictureRecord | None:
    """Begin the record of a request; in this task and those that it starts."""
    scope = _scope.get()
    if scope is None or not scope.observers:
        return None
    record = PictureRecord(
        method=method,
        identity=scope.identity,
        metadata=scope.metadata,
        started_ns=time.time_ns(),
    )
    _record.set(record)
    return record


def pixel_account() -> Callable[[int], None]:
    """Takes pixels that were decoded for this call's caller, also when the call has ended."""
    scope = _scope.get()
    if scope is None or scope.spend_pixels is None:
        return lambda _: None
    return partial(scope.spend_pixels, scope.identity.name)


def note_examined(response: pb.SegmentResponse) -> None:
    """A picture of the request was examined."""
    record = _record.get()
    if record is None:
        return
    provenance = response.provenance
    timings = provenance.timings
    record.examined.append(
        Examined(
            input_sha256=provenance.input_sha256,
            model_sha256=provenance.model.sha256,
            look_count=provenance.look_count,
            decode_ns=timings.decode_ns,
            queue_ns=timings.queue_ns,
            inference_ns=timings.inference_ns,
            postprocess_ns=timings.postprocess_ns,
            total_ns=timings.total_ns,
            ended_ns=time.time_ns(),
        )
    )


def close_record(record: PictureRecord | None, code: grpc.StatusCode) -> None:
    """End the record of a request. Accounts that cannot be kept do not harm its answer."""
    scope = _scope.get()
    if record is None or scope is None:
        return
    record.code = code
    record.ended_ns = time.time_ns()
    for observer in scope.observers:
        try:
            observer.observe(record)
        except Exception:
            logger.exception("a request could not be accounted for")


def refused_record(method: str, code: grpc.StatusCode, identity: Identity | None) -> PictureRecord:
    """The record of a call that was not let in."""
    record = ended_record(method, code, identity or _NOBODY)
    record.refused = True
    return record


def note_change(change: ModelChange) -> None:
    """The call is about this model."""
    _change.set(change)


def ended_record(method: str, code: grpc.StatusCode, identity: Identity) -> PictureRecord:
    """The record of a call without pictures."""
    now_ns = time.time_ns()
    return PictureRecord(
        method=method,
        identity=identity,
        metadata={},
        started_ns=now_ns,
        ended_ns=now_ns,
        code=code,
        change=_change.get(),
    )


_NOBODY = Identity("unknown", frozenset())
