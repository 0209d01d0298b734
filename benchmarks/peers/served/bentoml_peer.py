"""The work behind BentoML: a service of several worker processes, a picture is a file."""

from pathlib import Path
from typing import Annotated

import bentoml
from bentoml.validators import ContentType
from work import Work, workers

Answer = Annotated[bytes, ContentType("application/octet-stream")]


@bentoml.service(workers=workers(), traffic={"timeout": 600})
class Segmenter:
    """A worker process."""

    def __init__(self) -> None:
        self._work = Work()

    @bentoml.api  # type: ignore[untyped-decorator]
    def segment(self, picture: Path) -> Answer:
        """Answer one picture."""
        return self._work.answer(picture.read_bytes())
