"""What the pages tell people to type exists."""

import re
import subprocess
from pathlib import Path

import click
import pytest

import hunique_client.cli
import hunique_export.cli
import hunique_server.cli
import hunique_training.cli

PAGES = ["README.md", "CONTRIBUTING.md", "docs", "benchmarks/README.md", "deploy"]
TARGETS = {"demo", "test", "check", "bench", "verify-gpu", "proto", "clean", "help"}
COMMANDS: dict[str, click.Command] = {
    "hunique-client": hunique_client.cli.commands,
    "hunique-server": hunique_server.cli.main,
    "hunique-train": hunique_training.cli.main,
    "hunique-export": hunique_export.cli.main,
}
OF_OTHER_PROGRAMS = {
    "--target", "--rm", "--read-only", "--tmpfs", "--nproc-per-node", "--no-deps", "--input-data",
    "--train-masks",
}  # fmt: skip
OPTION = r"(?<![\w-])--[a-z][a-z-]*"


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


def _headings(page: Path) -> set[str]:
    """What may stand behind # in a link to the page, as code hosts make it of headings."""
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_pages_link_to_existing_headings(root: Path) -> None:
    """Every link to a part of a page leads to a heading of it."""
    checked = 0
    for page in _pages(root):
        text = page.read_text(encoding="utf-8")
        for target, heading in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", text):
            assert heading in _headings(page.parent / target if target else page), page
            checked += 1
    assert checked > 20


def _options(command: click.Command) -> set[str]:
    return {"--help"}.union(*(parameter.opts for parameter in command.params))


def _all_options(command: click.Command) -> set[str]:
    parts = command.commands.values() if isinstance(command, click.Group) else ()
    return _options(command).union(*map(_all_options, parts))


def _named(words: list[str]) -> click.Command:
    """The command that is typed with these words; a page may speak of a group alone."""
    command = COMMANDS[words[0]]
    for word in words[1:]:
        if isinstance(command, click.Group):
            command = command.commands.get(word, command)
    return command


def test_pages_type_options_that_the_command_has(root: Path) -> None:
    """Every command line on a page is one of ours, with options of that very command."""
    checked = 0
    for page in _pages(root):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"(?:^ *|`|\| )(hunique-\w+ [^`|#>\n]+)", text, flags=re.MULTILINE):
            typed = set(re.findall(OPTION, line))
            assert typed <= _options(_named(line.split())), f"{page.name}: {line}"
            checked += bool(typed)
    assert checked > 20


def test_pages_speak_of_options_that_exist(root: Path) -> None:
    """Also where a page names an option without its command."""
    known = OF_OTHER_PROGRAMS.union(*map(_all_options, COMMANDS.values()))
    for page in _pages(root):
        if not page.is_relative_to(root / "benchmarks"):  # whose scripts have options of their own
            found = re.findall(OPTION, page.read_text(encoding="utf-8"))
            assert {option for option in found if option[-1] != "-"} <= known, page


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
