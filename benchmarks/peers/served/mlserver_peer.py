"""The work behind MLServer: a model in several worker processes, the picture a BYTES tensor."""

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from work import Work


class Segmenter(MLModel):  # type: ignore[misc] # installed only where it runs
    """The model in one worker process."""

    async def load(self) -> bool:
        """Open the model."""
        self._work = Work()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer one picture."""
        data = payload.inputs[0].data
        picture = getattr(data, "root", data)[0]
        output = ResponseOutput(
            name="ANSWER", shape=[1], datatype="BYTES", data=[self._work.answer(picture)]
        )
        return InferenceResponse(model_name=self.name, outputs=[output])
