"""The work behind Ray Serve: replicas behind its HTTP proxy.

A replica may hold two requests, of which it works on one: the next one is there when it ends.
"""

import os
import signal
import sys
import threading

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response
from work import Work, workers


class Segmenter:
    """A replica."""

    def __init__(self) -> None:
        self._work = Work()

    async def __call__(self, request: Request) -> Response:
        """Answer one picture."""
        answer = self._work.answer(await request.body())
        return Response(content=answer, media_type="application/octet-stream")


def main(port: int, folder: str) -> None:
    """Serve until SIGTERM."""
    ray.init(
        num_cpus=workers() + 1,
        include_dashboard=False,
        object_store_memory=200_000_000,
        _temp_dir=folder,
        _node_ip_address="127.0.0.1",
        runtime_env={"env_vars": {"PYTHONPATH": os.environ["PYTHONPATH"]}},
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port, "request_timeout_s": 600})
    replicas = serve.deployment(
        num_replicas=workers(), max_ongoing_requests=2, ray_actor_options={"num_cpus": 1}
    )(Segmenter)
    serve.run(replicas.bind(), route_prefix="/segment", blocking=False)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
