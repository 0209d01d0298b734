"""The client for threads: one picture, many pictures, the model's description."""

import os
import threading
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Self

import grpc

from hunique_client.channel import (
    DEFAULT_DEADLINE_S,
    DESCRIBE_DEADLINE_S,
    RECONNECT_S,
)
from hunique_client.connection import open_channel
from hunique_client.credentials import Credentials
from hunique_client.errors import error_of_rpc
from hunique_client.many import ManyPictures, end
from hunique_client.private_server import PrivateServer
from hunique_client.requests import Source, make_request, make_wish
from hunique_client.results import (
    ModelDescription,
    Outcome,
    SegmentResult,
    read_description,
    read_response,
)
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

SERVER_VARIABLE = "HUNIQUE_SERVER"
"""Names a server where no address is given."""


class HuniqueClient:
    """Talks to a hunique server; use it as a context manager.

    Args:
        server: HOST:PORT or unix:PATH; None takes the variable HUNIQUE_SERVER, and where
            that is empty starts a private server that ends with this client.
        credentials: for a named server; None takes those of the environment. A private one
            needs none.

    Raises:
        ServerUnavailableError: no private server could be started.
        CredentialsError: the credentials cannot be used for this server.
    """

    def __init__(self, server: str | None = None, credentials: Credentials | None = None) -> None:
        address = server or os.environ.get(SERVER_VARIABLE)
        self._private = None if address else PrivateServer()
        self.address = address or (self._private.address if self._private else "")
        """What it talks to."""
        if self._private is not None:
            credentials = Credentials()
        self._channel = open_channel(self.address, credentials or Credentials.from_environment())
        self._stub = pb_grpc.HandFeaturesStub(self._channel)
        self._readers: set[threading.Thread] = set()

    def segment(
        self,
        image: Source,
        *,
        classes: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        detail: str | None = None,
        model: str = "",
        deadline_s: float = DEFAULT_DEADLINE_S,
    ) -> SegmentResult:
        """Find the features of one picture.

        Args:
            image: encoded bytes, a path, or a binary stream.
            classes: classes to assess; None: all.
            outputs: see `Output`; None: masks as PNG and polygons.
            detail: see `Detail`; None: the server's default.
            model: NAME, NAME:VERSION or an alias; empty: the server's default model.
            deadline_s: how long it may take.

        Raises:
            HuniqueClientError: see the tree in `hunique_client.errors`.
        """
        request = make_request(image, make_wish(classes, outputs, detail, model))
        try:
            return read_response(self._stub.Segment(request, timeout=deadline_s))
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    def segment_many(
        self,
        images: Iterable[Source],
        *,
        classes: Iterable[str] | None = None,
        outputs: Iterable[str] | None = None,
        detail: str | None = None,
        model: str = "",
    ) -> Generator[Outcome, None, None]:
        """Find the features of many pictures; outcomes come as they are ready.

        Pictures are read a few at a time and while outcomes are asked for, so `images` may
        be a generator over any number of them; an error that it raises comes out here. A
        picture that cannot be served gives an outcome with an error and stops nothing.
        Pictures left unanswered by a server that went away are sent again when it is back.

        Args:
            images: encoded bytes, paths or binary streams.
            classes: classes to assess; None: all.
            outputs: see `Output`; None: masks as PNG and polygons.
            detail: see `Detail`; None: the server's default.
            model: NAME, NAME:VERSION or an alias; empty: the server's default model.

        Raises:
            ServerUnavailableError: there is no server, or it went away and did not come back.
            HuniqueClientError: see the tree in `hunique_client.errors`.
        """
        wish = make_wish(classes, outputs, detail, model)
        # a private server that ended does not come back
        waits_s = RECONNECT_S if self._private is None else ()
        return ManyPictures(self._stub, images, wish, waits_s, self._readers).outcomes()

    def describe_model(self, name: str = "") -> ModelDescription:
        """What a model is.

        Args:
            name: NAME, NAME:VERSION or an alias; empty: the server's default model.

        Raises:
            HuniqueClientError: see the tree in `hunique_client.errors`.
        """
        try:
            return read_description(
                self._stub.DescribeModel(
                    pb.DescribeModelRequest(name=name), timeout=DESCRIBE_DEADLINE_S
                )
            )
        except grpc.RpcError as error:
            raise error_of_rpc(error) from error

    def close(self) -> None:
        """Close the channel with its streams, and end the private server if there is one."""
        self._channel.close()
        for reader in tuple(self._readers):
            end(reader)
        if self._private is not None:
            self._private.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
