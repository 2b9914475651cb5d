"""The docs are part of the product: what a page says to type works, and what it shows is what is printed."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML

from lanewise.testing.postgres import Server

from .walkthrough import Shell, Typed, fences, pattern, start, typed, walk

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/*.md")])
ELSEWHERE = (", with Dagster", ", with Airflow")  # typed where one is at hand: tests/contract/orchestrators
TYPED = [page for page in PAGES if any(f.language in {"console", "bash"} for f in fences(page.read_text()))
         and not start(page.read_text())[0].endswith(ELSEWHERE)]  # fmt: skip
RELEASED = """
python make_data.py
export LANEWISE_ACTOR=ana
lane build --tag v1
lane promote v1 --to dev
lane promote v1 --to stage
LANEWISE_ACTOR=ben lane approve prod-1
lane promote v1 --to prod
"""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    for folder in ("project", "home"):
        (tmp_path / folder).mkdir()
    return Shell(tmp_path / "project", tmp_path / "home")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The orders example with v1 live everywhere, in a folder that it can be put back into."""
    folder = tmp_path_factory.mktemp("released") / "orders"
    shutil.copytree(ROOT / "examples/orders", folder, ignore=shutil.ignore_patterns("data", ".lanewise", "__pycache__"))
    home = folder.with_name("home")
    home.mkdir()
    code, printed = Shell(folder, home).type(f"set -e{RELEASED}set +e")
    assert code == 0, printed
    shutil.copytree(folder, folder.with_name("kept"), symlinks=True)
    return folder


def enter(page: Path, shell: Shell, request: pytest.FixtureRequest) -> None:
    scene, _ = start(page.read_text(encoding="utf-8"))
    if scene == "an empty folder":
        return
    ignored = shutil.ignore_patterns("data", ".lanewise", "__pycache__")
    if scene == "a checkout":
        shutil.copytree(ROOT / "examples", shell.cwd / "examples", ignore=ignored)
        return
    if scene == "examples/orders, beside PostgreSQL":
        enter_server(shell, request.getfixturevalue("postgres15"))
    if scene.startswith("examples/orders") and not scene.endswith("released"):
        shutil.copytree(ROOT / "examples/orders", shell.cwd, ignore=ignored, dirs_exist_ok=True)
        shell.type("python make_data.py")
        return
    assert scene == "examples/orders, released", f"{name(page)} starts from {scene!r}, which nobody knows"
    folder = request.getfixturevalue("released")
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("kept"), folder, symlinks=True)
    shell.type(f'cd "{folder}"; export LANEWISE_ACTOR=ana')


def enter_server(shell: Shell, server: Server) -> None:
    """Its programs are at hand and log in as its superuser; whatever host a page names is this one."""
    shell.type(
        f'export PATH="{server.binaries}:$PATH" PGHOST=127.0.0.1 PGHOSTADDR=127.0.0.1 PGPORT={server.port} '
        "PGUSER=postgres"
    )


@pytest.mark.slow
@pytest.mark.parametrize("page", TYPED, ids=name)
def test_a_page_does_what_it_says(page: Path, shell: Shell, request: pytest.FixtureRequest):
    enter(page, shell, request)
    assert walk(page, shell) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_fence_with_commands_says_whether_they_are_run(page: Path):
    """``console`` and ``bash`` are typed by the test above; what can't be is marked ``text``."""
    unmarked = [f.line for f in fences(page.read_text()) if f.language in {"", "sh", "shell"} and
                re.search(r"^(\$ )?(lane|make|git|python|pip) ", f.body, re.MULTILINE)]  # fmt: skip
    assert unmarked == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_snippets_of_a_page_can_be_parsed(page: Path):
    for fence in fences(page.read_text()):
        if fence.language == "yaml":
            YAML(typ="safe", pure=True).load(fence.body)
        elif fence.language == "python":
            ast.parse(fence.body)
        elif fence.language == "json":
            json.loads(fence.body)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path):
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        path, _, anchor = unquote(target).partition("#")
        if "://" in path:
            continue
        file = (page.parent / path) if path else page
        assert file.exists(), f"{name(page)} links to {target}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_page_can_be_reached_from_the_index():
    seen, queue = set(), [ROOT / "docs/index.md"]
    while queue:
        page = queue.pop()
        if page in seen or page.suffix != ".md" or not page.is_relative_to(ROOT / "docs"):
            continue
        seen.add(page)
        queue += [
            (page.parent / link.partition("#")[0]).resolve()
            for link in re.findall(r"\]\(([^)\s:]+)\)", page.read_text())
        ]
    assert [name(page) for page in PAGES if page.is_relative_to(ROOT / "docs") and page not in seen] == []


def test_a_wrong_page_is_noticed(tmp_path: Path, shell: Shell):
    page = tmp_path / "page.md"
    page.write_text(
        '```text title="a.txt"\none\n```\n```diff title="a.txt"\n-one\n+two\n```\n'
        "```console\n$ cat a.txt\ntwo\n$ cat a.txt\none\n$ false\n$ ls nowhere\nerror: none\n"
        "$ exit 1 # exit code 1\n$ exit 3 # exit code 1\n```\n"
    )
    wrong = walk(page, shell)
    assert ["does not print 'one'" in wrong[0], "`false` ended with 1" in wrong[1]] == [True, True]
    assert "does not print 'error: none'" in wrong[2]
    assert "`exit 3 # exit code 1` ended with 3" in wrong[3]
    assert len(wrong) == 4


def test_a_shown_line_is_loose_about_digests_times_and_durations_alone():
    shown = pattern("3f9a2c71  since 2026-05-04 09:30 UTC in 12 ms, 3 rows …")
    assert shown.fullmatch("aa11bb22 since 2027-01-01 10:00 UTC in 4.5 s, 3 rows and more")
    assert not shown.fullmatch("aa11bb22 since 2027-01-01 10:00 UTC in 4.5 s, 4 rows and more")
    assert typed("$ a \\\n> b\nx\n$ c\n") == [Typed("a \\\nb", ("x",)), Typed("c", ())]
