"""``python -m lanewise.cli.credential`` as a worker starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lanewise.testing.openbao import OpenBao

CANARY = 'Tr0ub4dor&3\n"canary" ü'


@pytest.fixture
def compiled(tmp_path: Path, as_root: OpenBao) -> Path:
    as_root.write("helper/pg", password="old one")
    as_root.write("helper/pg", password=CANARY)
    (tmp_path / "pw").write_text(CANARY)
    secrets = {
        "password": {
            "text": "vault:secret/data/helper/pg#password",
            "previous": "vault:secret/data/helper/pg?version=-1#password",
        },
        "local": {"text": "file:pw", "previous": None},
        "lost": {"text": "vault:secret/data/helper/nothing#password", "previous": None},
    }
    path = tmp_path / "home" / "run.json"
    document = {"format": 1, "root": str(tmp_path), "connections": {"pg": {"type": "postgres", "secrets": secrets}}}
    path.write_text(json.dumps(document))
    return path


def ask(request: Any) -> subprocess.CompletedProcess[str]:
    text = request if isinstance(request, str) else json.dumps(request)
    return subprocess.run(
        [sys.executable, "-m", "lanewise.cli.credential"], input=text, capture_output=True, text=True, check=False,
        env={**os.environ}, timeout=60,
    )  # fmt: skip


def test_the_value_alone_is_printed(compiled: Path):
    done = ask({"reference": "vault:secret/data/helper/pg#password", "previous": False, "compiled": str(compiled)})
    assert (done.returncode, done.stdout, done.stderr) == (0, CANARY, "")


def test_the_previous_value_is_asked_for_by_the_current_reference(compiled: Path):
    done = ask({"reference": "vault:secret/data/helper/pg#password", "previous": True, "compiled": str(compiled)})
    assert (done.returncode, done.stdout) == (0, "old one")


def test_a_relative_file_starts_at_the_projects_folder(compiled: Path):
    assert ask({"reference": "file:pw", "compiled": str(compiled)}).stdout == CANARY


@pytest.mark.parametrize(
    ("reference", "previous", "code"),
    [
        ("vault:secret/data/helper/other#password", False, 1),  # not named by the compiled file
        ("vault:secret/data/helper/pg?version=-1#password", False, 1),  # a previous one only by its current
        ("env:HOME", False, 1),
        (CANARY, False, 1),
        ("file:pw", True, 3),  # has no previous
        ("vault:secret/data/helper/nothing#password", False, 3),
    ],
)
def test_what_can_not_be_told_is_an_error_of_one_line_and_a_hint(
    compiled: Path, reference: str, previous: bool, code: int
):
    done = ask({"reference": reference, "previous": previous, "compiled": str(compiled)})
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 2
    assert "hint:" in done.stderr.splitlines()[1]
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("request_text", ["", "null", "[]", "{}", '{"reference": 1, "compiled": 2}', "{"])
def test_a_senseless_request_is_wrong_input(request_text: str):
    done = ask(request_text)
    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input" in done.stderr


@pytest.mark.parametrize("content", [None, "", "[]", '{"connections": []}', '{"connections": {"pg": 1}}'])
def test_a_senseless_compiled_file_is_wrong_input(tmp_path: Path, content: str | None):
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    done = ask({"reference": "env:HOME", "compiled": str(path)})
    assert (done.returncode, done.stdout) == (2, "")
    assert str(path) in done.stderr


def test_no_process_shows_a_reference_or_a_value_in_its_arguments(compiled: Path):
    request = json.dumps({"reference": "vault:secret/data/helper/pg#password", "compiled": str(compiled)})
    with subprocess.Popen(
        [sys.executable, "-m", "lanewise.cli.credential"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        shown = b""
        while b"lanewise.cli.credential" not in shown and helper.poll() is None:  # it waits for its request
            shown = (Path("/proc") / str(helper.pid) / "cmdline").read_bytes()
        helper.stdin.write(request.encode())
        helper.stdin.close()
        assert helper.stdout.read().decode() == CANARY
    assert b"lanewise.cli.credential" in shown
    assert b"vault:" not in shown
