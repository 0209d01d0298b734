"""Everything at once: callers that vanish, poison, damage and overload."""

import asyncio
import random
from collections import Counter
from typing import Any

import grpc

from hunique_proto.v1 import hand_features_pb2 as pb

LONG_S = 120.0
SEED = 11
CALLERS = 150
Code = grpc.StatusCode
ALLOWED = {
    "good": {Code.OK, Code.RESOURCE_EXHAUSTED},
    "damaged": {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED},
    "poison": {Code.INTERNAL, Code.RESOURCE_EXHAUSTED},
    "hurried": {Code.OK, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED},
    "vanishing": {Code.OK, Code.CANCELLED, Code.RESOURCE_EXHAUSTED},
}


async def test_every_caller_is_answered_and_the_server_serves_on(
    serve: Any, obedient: Any, red_png: bytes, poison_png: bytes, untimed: Any
) -> None:
    """In any mixture each caller gets an answer or its own error; then all is as before."""
    served = await serve(obedient, max_queue_items=4)
    quiet = untimed(await served.stub.Segment(pb.SegmentRequest(image=red_png)))
    dice = random.Random(SEED)
    outcomes: Counter[tuple[str, grpc.StatusCode]] = Counter()

    async def caller(kind: str) -> None:
        image = {"damaged": red_png[:-100], "poison": poison_png}.get(kind, red_png)
        for _ in range(dice.randrange(300)):
            await asyncio.sleep(0)  # callers come one after the other
        timeout_s = dice.choice([0.001, 0.01, 0.05]) if kind == "hurried" else LONG_S
        call = served.stub.Segment(pb.SegmentRequest(image=image), timeout=timeout_s)
        if kind == "vanishing":
            for _ in range(dice.randrange(100)):
                await asyncio.sleep(0)
            call.cancel()
        code = await call.code()
        outcomes[kind, code] += 1
        assert code in ALLOWED[kind], (kind, code, await call.details())
        if code is Code.OK:
            assert untimed(await call) == quiet

    async def vanishing_stream() -> None:
        stream = served.stub.SegmentStream()
        for number in range(8):
            await stream.write(pb.SegmentRequest(image=red_png, request_id=str(number)))
        stream.cancel()
        outcomes["stream", await stream.code()] += 1

    kinds = dice.choices(list(ALLOWED), k=CALLERS)
    async with asyncio.timeout(LONG_S):
        await asyncio.gather(*map(caller, kinds), *(vanishing_stream() for _ in range(5)))
    assert outcomes.total() == CALLERS + 5
    assert len(outcomes) > len(ALLOWED)
    await served.until("hunique_queue_items", 0)
    assert served.sample("hunique_queue_bytes") == 0
    assert untimed(await served.stub.Segment(pb.SegmentRequest(image=red_png))) == quiet
