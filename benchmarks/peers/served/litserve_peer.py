"""The work behind LitServe: worker processes behind one HTTP server, no batches."""

import sys

import litserve
from fastapi import Request, Response
from work import Work, workers


class Segmenter(litserve.LitAPI):  # type: ignore[misc] # installed only where it runs
    """A worker process."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - there is only the CPU
        """Open the model."""
        self._work = Work()

    def decode_request(self, request: Request) -> bytes:
        """The picture is a file of the form."""
        data: bytes = request["picture"].file.read()
        return data

    def predict(self, picture: bytes) -> bytes:
        """Answer one picture."""
        return self._work.answer(picture)

    def encode_response(self, answer: bytes) -> Response:
        """The answer is the body."""
        return Response(content=answer, media_type="application/octet-stream")


if __name__ == "__main__":
    server = litserve.LitServer(
        Segmenter(), accelerator="cpu", devices=1, workers_per_device=workers(), timeout=600
    )
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )
