"""The work behind mosec: one stage, one picture at a time in each worker."""

from mosec import Server
from mosec import Worker as MosecWorker
from work import Work, workers


class Segmenter(MosecWorker):  # type: ignore[misc] # installed only where it runs
    """A worker process."""

    def __init__(self) -> None:
        self._work = Work()

    def deserialize(self, data: bytes) -> bytes:
        """The picture is the body."""
        return data

    def serialize(self, data: bytes) -> bytes:
        """The answer is the body."""
        return data

    def forward(self, data: bytes) -> bytes:
        """Answer one picture."""
        return self._work.answer(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(Segmenter, num=workers(), timeout=600)
    server.run()
