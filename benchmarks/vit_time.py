"""What a photograph of about a megapixel costs on one core, in passes of a ViT-S/16 at 448 px.

    the bundle, each detail: decode, looks, network, merge, refine, find -> s a picture
    CoSA's network on ViT-S/16 (random weights): one look of 448 px      -> s a pass

Both run in ONNX Runtime on one thread, in turn, several times; the median of each counts. The
pass is the network alone, as it would be served: a picture that it saw once, whole.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import onnxruntime as ort
import torch
from drawn_pictures import PICTURE_SIZE_PX, drawn_jpegs
from rows import MeasuredRow, append_rows

from hunique_export.onnx_graph import export_graph
from hunique_models.bundle import Bundle, default_bundle_path
from hunique_models.engine import open_engine
from hunique_models.geometry import Detail
from hunique_models.pipeline import Pipeline
from hunique_training.checkpoint import ModelCheckpoint
from hunique_training.network.cosa import CosaNetwork, NetworkConfig
from hunique_training.network.registry import decoder_for

ROWS = Path(__file__).parent / "vit_time_rows.csv"
ENCODER, SIDE_PX = "vit_small_16", 448


@dataclass(frozen=True, kw_only=True)
class Row(MeasuredRow):
    """One line of vit_time_rows.csv."""

    model: str
    detail: str
    picture_px: str
    looks: int
    picture_ms: float
    vit_pass_ms: float
    of_vit_pass: float


def vit_pass(folder: Path) -> Callable[[], object]:
    """One pass of CoSA's network on ViT-S/16, on one thread."""
    torch.manual_seed(0)
    config = NetworkConfig(encoder=ENCODER, decoder=decoder_for(ENCODER), cam_head="final")
    network = CosaNetwork(config, None).eval()
    path = folder / "vit.onnx"
    path.write_bytes(export_graph(ModelCheckpoint(network=network, input_size_px=SIDE_PX)))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    look = np.random.default_rng(0).integers(0, 256, (1, SIDE_PX, SIDE_PX, 3), np.uint8)
    return lambda: session.run(None, {"image": look})


def _medians_ms(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median duration of each, which take turns; a first round warms up."""
    times_s: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, run in work.items():
            started_s = time.monotonic()
            run()
            times_s[name] += [time.monotonic() - started_s] if number else []
    return {name: 1000 * statistics.median(times) for name, times in times_s.items()}


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), default=default_bundle_path(),
              help="The model. Default: the one that comes with hunique.")  # fmt: skip
@click.option("--rounds", type=click.IntRange(min=1), default=9, show_default=True)
@click.option("--record", is_flag=True, help="Append the result to vit_time_rows.csv.")
def main(bundle: Path, rounds: int, record: bool) -> None:
    """Compare the time of a whole answer with that of one pass of a ViT-S/16."""
    opened = Bundle.open(bundle)
    pipeline, engine = Pipeline(opened.manifest), open_engine(opened, "cpu", threads=1)
    picture = drawn_jpegs()[0]
    looks = {d: len(pipeline.prepare(picture, d).looks.looks) for d in Detail}
    with tempfile.TemporaryDirectory() as folder:
        work: dict[str, Callable[[], object]] = {
            d.value: partial(pipeline.segment, picture, engine, d) for d in Detail
        }
        median_ms = _medians_ms(work | {"vit": vit_pass(Path(folder))}, rounds)
    rows = [
        Row(
            model=f"{opened.manifest.name} {opened.manifest.version}",
            detail=detail.value,
            picture_px=f"{PICTURE_SIZE_PX[1]}x{PICTURE_SIZE_PX[0]}",
            looks=looks[detail],
            picture_ms=round(median_ms[detail.value]),
            vit_pass_ms=round(median_ms["vit"]),
            of_vit_pass=round(median_ms[detail.value] / median_ms["vit"], 2),
        )
        for detail in Detail
    ]
    for row in rows:
        click.echo(
            f"{row.detail:8}: {row.looks} looks, {row.picture_ms} ms a picture, "
            f"{row.of_vit_pass} of a pass of {row.vit_pass_ms} ms (target: at most 0.5)"
        )
    if record:
        append_rows(ROWS, rows)
        click.echo(f"recorded in {ROWS.name}")


if __name__ == "__main__":
    main()
