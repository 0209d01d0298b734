"""A closed loop against one server; prints what came of it as JSON.

It runs in an environment of its own, so that no server shares a process with what asks it. All
servers are asked by this program, over the protocol that each is fastest with.
"""

import argparse
import asyncio
import hashlib
import json
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiohttp
import grpc
from closed_loop import Load, ask_in_turn

from hunique_proto.inference import open_inference_pb2 as oip
from hunique_proto.inference import open_inference_pb2_grpc as oip_grpc
from hunique_proto.v1 import hand_features_pb2 as pb
from hunique_proto.v1 import hand_features_pb2_grpc as pb_grpc

Ask = Callable[[bytes], Awaitable[bytes]]
TIMEOUT_S = 600
CHANNEL_OPTIONS = [("grpc.max_receive_message_length", 64 << 20)]


class RefusedError(Exception):
    """The server answered, but not with a result."""


@asynccontextmanager
async def hunique(address: str, path: str) -> AsyncIterator[Ask]:
    """Ask hunique-server over its own service; the path is the detail."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = pb_grpc.HandFeaturesStub(channel)

        async def ask(picture: bytes) -> bytes:
            request = pb.SegmentRequest(image=picture, detail=f"DETAIL_{path.upper()}")
            answer = await stub.Segment(request, timeout=TIMEOUT_S)
            return answer.SerializeToString()

        yield ask


@asynccontextmanager
async def oip_grpc_tensors(address: str, path: str) -> AsyncIterator[Ask]:
    """Ask over the Open Inference Protocol; the path is the model."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)

        async def ask(picture: bytes) -> bytes:
            request = oip.ModelInferRequest(model_name=path)
            request.inputs.add(name="PICTURE", datatype="BYTES", shape=[1])
            request.raw_input_contents.append(struct.pack("<I", len(picture)) + picture)
            answer = await stub.ModelInfer(request, timeout=TIMEOUT_S)
            if answer.raw_output_contents:
                return answer.raw_output_contents[0][4:]  # behind its length
            return answer.outputs[0].contents.bytes_contents[0]

        yield ask


@asynccontextmanager
async def http(address: str, path: str, as_form: bool = False) -> AsyncIterator[Ask]:
    """Ask over HTTP, with the picture as the body or as a file of a form."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:

        async def ask(picture: bytes) -> bytes:
            body: bytes | aiohttp.FormData = picture
            if as_form:
                body = aiohttp.FormData()
                body.add_field("picture", picture, filename="hand.jpg", content_type="image/jpeg")
            async with session.post(f"http://{address}{path}", data=body) as response:
                answer = await response.read()
                if response.status != 200:
                    raise RefusedError(f"{response.status} {answer[:300]!r}")
                return answer

        yield ask


@asynccontextmanager
async def http_form(address: str, path: str) -> AsyncIterator[Ask]:
    """Ask over HTTP with a form."""
    async with http(address, path, as_form=True) as ask:
        yield ask


REFUSALS = (aiohttp.ClientError, grpc.aio.AioRpcError, RefusedError, OSError)
CALLS = {"hunique": hunique, "oip": oip_grpc_tensors, "http": http, "http-form": http_form}


async def _main(given: argparse.Namespace) -> None:
    pictures = [path.read_bytes() for path in sorted(given.pictures.iterdir())]
    async with CALLS[given.call](given.address, given.path) as ask:
        first = await ask(pictures[0])  # connects, and is not measured
        load = Load(callers=given.callers)
        await ask_in_turn(load, ask, pictures, given.seconds_s, refusals=REFUSALS)
    result = {
        "durations_s": load.durations_s,
        "failures": load.failures,
        "first_failure": load.first_failure,
        "took_s": load.took_s,
        "first_answer_sha256": hashlib.sha256(first).hexdigest(),
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--call", choices=list(CALLS), required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--callers", type=int, required=True)
    parser.add_argument("--seconds-s", type=float, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(_main(_arguments()))
