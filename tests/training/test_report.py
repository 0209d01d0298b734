"""The page of a run, and the panels that stand in it."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from hunique_training.cli import main
from hunique_training.data.labels import LabelledPicture, read_labels
from hunique_training.data.picture_cache import PictureCache
from hunique_training.line_chart import line_chart, nice_ticks
from hunique_training.network.cosa import CosaNetwork, NetworkConfig
from hunique_training.panels import (
    CAPTION_PX,
    COLUMNS,
    PANEL_PX,
    PanelRequest,
    choose_panel_pictures,
    write_panels,
)


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.references: list[str] = []
        self.text = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag's name, and every address in it."""
        self.tags.add(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action")]

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.text += data


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, labelled_folder: Path) -> Path:
    """A run of two steps that validated."""
    folder = tmp_path_factory.mktemp("runs") / "reported"
    command = ["--threads", "1", "fit", "--pretrained", "none", "--batch-size", "2", "--steps", "2"]
    command += ["--input-size-px", "64", "--crop-size-px", "64", "--validate-every-steps", "1"]
    result = CliRunner().invoke(
        main, [*command, "--data", str(labelled_folder), "--out", str(folder)]
    )
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def page(run: Path) -> Page:
    """The page of the run."""
    result = CliRunner().invoke(main, ["report", str(run)], catch_exceptions=False)
    assert result.output.strip() == str(run / "report.html")
    return Page(run / "report.html")


def test_the_page_needs_nothing_else(page: Page) -> None:
    """No script, no style sheet, no address: pictures are in it, and the browser is told so."""
    assert page.tags.isdisjoint({"script", "link", "iframe", "object"})
    assert page.references
    assert all(one.startswith("data:image/png;base64,") for one in page.references)
    assert not re.search(r"https?://|url\(|@import", page.source)
    assert "default-src 'none'" in page.source


def test_the_page_says_what_the_run_was_and_how_it_went(page: Page, run: Path) -> None:
    """Configuration, counts, digests, figures on val; and a curve for each loss in use."""
    summary = json.loads((run / "summary.json").read_text())
    scores = json.loads((run / "validation.json").read_text())
    assert "efficientnet_lite0" in page.text
    assert summary["pictures_sha256"] in page.text
    assert "to train on, of camera A" in page.text
    assert '"loss_warm_up_steps"' in page.text
    for one in scores:
        assert one["name"].replace("_", " ") in page.text
        assert f"{one['label-free']['iou']:.3f}" in page.text
    charts = re.findall(r"<svg.*?</svg>", page.source)
    assert "auxiliary classification" in charts[0]
    assert "auxiliary threshold" in charts[1]
    assert "iou polished nail" in charts[-1]


def test_the_panels_are_in_the_page(page: Page, run: Path) -> None:
    """The bytes of the last panel, to the last."""
    drawn = base64.b64decode(page.references[0].removeprefix("data:image/png;base64,"))
    assert drawn == max((run / "panels").glob("*.png")).read_bytes()


def test_panels_are_taken_from_the_whole_run(tmp_path: Path, run: Path) -> None:
    """Of five, the first, the middle and the last, the last one first."""
    (tmp_path / "panels").mkdir()
    (tmp_path / "config.json").write_bytes((run / "config.json").read_bytes())
    for step in range(100, 600, 100):
        cv2.imwrite(str(tmp_path / f"panels/step-{step:06d}.png"), np.zeros((4, 4, 3), np.uint8))
    CliRunner().invoke(main, ["report", str(tmp_path), "--panels", "3"], catch_exceptions=False)
    text = Page(tmp_path / "report.html").text
    assert re.findall(r"after step (\d+)", text) == ["500", "300", "100"]


def test_no_picture_is_named(page: Page, labelled_folder: Path) -> None:
    """A page can be shown without telling where pictures come from."""
    assert "hand-6" not in page.source
    assert str(labelled_folder) not in page.source


def test_a_run_at_work_has_a_page(tmp_path: Path, run: Path) -> None:
    """With a configuration alone the page says what is not there yet; markup is no markup."""
    folder = tmp_path / "run <b>&"
    folder.mkdir()
    (folder / "config.json").write_bytes((run / "config.json").read_bytes())
    out = tmp_path / "pages" / "page.html"
    result = CliRunner().invoke(main, ["report", str(folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    page = Page(out)
    assert "nothing yet" in page.text
    assert "run <b>&" in page.text
    assert "b" not in page.tags


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    """Told with what was looked for."""
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 1
    assert "config.json" in result.output


def test_a_chart_is_well_formed_and_leaves_gaps() -> None:
    """Curves keep within the frame, and a value that is undefined is not drawn."""
    chart = line_chart({"a<b": [(0, 0.0), (10, float("nan")), (20, 2.0), (30, 1.0)]}, "t & t")
    root = ElementTree.fromstring(chart)  # noqa: S314 - made here
    curve = next(one for one in root.iter("path") if one.get("class") == "line")
    assert (curve.get("d") or "").count("M") == 2
    assert any(text.text == "a<b" for text in root.iter("text"))
    assert "nothing yet" in line_chart({"a": [(0, float("nan"))]}, "t")


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 0), (-0.03, 2.7), (1e-7, 3e-7), (0, 12345)])
def test_axes_are_round_and_wide_enough(low: float, high: float) -> None:
    """Two to eight figures from below the least to above the greatest."""
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(ticks) <= 8


def _panel(
    path: Path, folder: Path, shares: tuple[float, ...], exponents: tuple[float, ...] = ()
) -> np.ndarray:
    torch.manual_seed(0)
    network = CosaNetwork(NetworkConfig(), "package")
    pictures = read_labels(folder / "labels.csv", network.config.class_names)
    request = PanelRequest(
        pictures=choose_panel_pictures(pictures, 4, 2), cache=PictureCache(96), input_size_px=96,
        mixed_cam_shares=shares, cam_exponents=exponents,
    )  # fmt: skip
    assert write_panels(path, network, request)
    drawn = cv2.imread(str(path))
    assert drawn is not None
    return drawn


def _column(panel: np.ndarray, name: str) -> np.ndarray:
    """The first picture of a column."""
    left, top = COLUMNS.index(name) * PANEL_PX, 2 * CAPTION_PX
    return panel[top : top + PANEL_PX, left : left + PANEL_PX]


@pytest.mark.parametrize(("share", "like"), [(0.0, "CAM"), (1.0, "Aux CAM")])
def test_panels_show_the_mixed_cam_beside_what_it_is_mixed_of(
    tmp_path: Path, labelled_folder: Path, share: float, like: str
) -> None:
    """Five columns as in the talk; the Mixed CAM follows the shares of the run."""
    panel = _panel(tmp_path / "panel.png", labelled_folder, (share,) * 4)
    assert panel.shape == (CAPTION_PX + 8 * (CAPTION_PX + PANEL_PX), 5 * PANEL_PX, 3)
    apart = {
        name: np.abs(_column(panel, "Mixed CAM").astype(int) - _column(panel, name)).mean()
        for name in ("CAM", "Aux CAM")
    }
    assert apart.pop(like) < 1
    assert min(apart.values()) > 5


def test_panels_raise_the_mixed_cam_as_pseudo_labels_do(
    tmp_path: Path, labelled_folder: Path
) -> None:
    """A power of 8 leaves little but the peak; the plain CAM beside it stays."""
    plain = _panel(tmp_path / "plain.png", labelled_folder, ())
    trimmed = _panel(tmp_path / "trimmed.png", labelled_folder, (), (8.0,) * 4)
    assert np.array_equal(_column(trimmed, "CAM"), _column(plain, "CAM"))
    # hot is red in the colours of maps, the last channel as read
    hot = [(_column(panel, "Mixed CAM")[..., 2] > 150).mean() for panel in (plain, trimmed)]
    assert hot[1] < 0.7 * hot[0]


def test_captions_name_classes_and_no_files(
    tmp_path: Path, labelled_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything that is written into a panel: the columns, and each row's class and number."""
    written: list[str] = []
    put_text = cv2.putText

    def watched(image: np.ndarray, text: str, *options: object) -> object:
        written.append(text)
        return put_text(image, text, *options)  # type: ignore[call-overload]

    monkeypatch.setattr("hunique_training.panels.cv2.putText", watched)
    _panel(tmp_path / "panel.png", labelled_folder, ())
    rows = [f"{name} {n}" for name in ("tattoo", "ring", "lunule", "polished nail") for n in (1, 2)]
    assert sorted(written) == sorted([*COLUMNS, *rows])


def test_nothing_to_draw_draws_nothing(tmp_path: Path) -> None:
    """Without a picture that shows any class no file is written."""
    nothing: list[tuple[LabelledPicture, int]] = []
    request = PanelRequest(
        pictures=nothing, cache=PictureCache(96), input_size_px=64, mixed_cam_shares=()
    )
    assert not write_panels(tmp_path / "panel.png", CosaNetwork(NetworkConfig()), request)
    assert not list(tmp_path.iterdir())
