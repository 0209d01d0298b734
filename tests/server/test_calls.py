import asyncio
import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from hunique_models.errors import UnreadableImageError
from hunique_models.geometry import Detail
from hunique_server.caller import NOBODY
from hunique_server.calls import Calls
from hunique_server.convert import Wish
from hunique_server.errors import Failure
from hunique_server.metrics import Metrics
from hunique_server.oip_convert import PicturesCall
from hunique_server.oip_inference import Inference


async def _refuse(*_: Any) -> None:
    raise UnreadableImageError("no image")


@pytest.mark.parametrize("count", [1, 3])
async def test_refused_pictures_are_let_go_at_once(count: int) -> None:
    """No error keeps what it was about: pictures do not pile up until the collector comes."""
    inference = Inference(SimpleNamespace(admission=None, examine=_refuse))  # type: ignore[arg-type]
    wish = Wish(request_id="", classes=(), outputs=frozenset(), detail=Detail.FAST)
    images = (b"",) * count
    call = PicturesCall(images=images, wish=wish, outputs=("findings",), timeout_s=None)
    kept = weakref.ref(call)
    gc.disable()
    try:
        work = inference.answer("", call, NOBODY)
        del call
        outcome = await Calls(Metrics()).outcome("ModelInfer", work)
        assert isinstance(outcome, Failure)
        assert ("encoded_image[0]" in outcome.message) is (count > 1)
        await asyncio.sleep(0)  # waits for no time: its neighbours end
        assert kept() is None
    finally:
        gc.enable()
