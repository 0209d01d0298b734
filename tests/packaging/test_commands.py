"""What the pages tell people to type exists."""

import re
import subprocess
from pathlib import Path

import pytest

PAGES = ["README.md", "CONTRIBUTING.md", "docs", "benchmarks/README.md", "deploy"]
TARGETS = {"demo", "test", "check", "bench", "verify-gpu", "proto", "clean", "help"}


def _pages(root: Path) -> list[Path]:
    named = [root / page for page in PAGES]
    return [
        page
        for place in named
        for page in (sorted(place.rglob("*.md")) if place.is_dir() else [place])
        if page.is_file()
    ]


def _make_targets(root: Path) -> set[str]:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):.* ## ", makefile, flags=re.MULTILINE))


def test_make_has_the_promised_targets(root: Path) -> None:
    """The handful of commands is the same in every clone, and each says what it does."""
    assert _make_targets(root) == TARGETS


def test_pages_name_existing_targets(root: Path) -> None:
    """Every `make x` on a page is a target."""
    pages = _pages(root)
    assert root / "README.md" in pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        mentioned = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, flags=re.MULTILINE))
        assert mentioned <= TARGETS, page


def test_pages_link_to_existing_files(root: Path) -> None:
    """Every relative link on a page leads somewhere."""
    for page in _pages(root):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_package_host_in_the_project(root: Path) -> None:
    """Where packages come from is the installer's business, not the project's."""
    for name in ("pyproject.toml", "constraints.txt", "Makefile", ".ci/run"):
        text = (root / name).read_text(encoding="utf-8")
        assert not re.search(r"index-url|find-links|https?://", text), name


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_make_can_plan_every_target(root: Path, target: str) -> None:
    """No target hangs on a file that nothing makes."""
    planned = subprocess.run(
        ["make", "--dry-run", target],  # noqa: S607 - the user's own make
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert planned.returncode == 0, planned.stderr
