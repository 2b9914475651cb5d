"""A page of the docs, typed in order as a reader would.

What is run: every fence of ``console`` (lines after ``$ `` are typed; the lines below must be in what is printed, in
order) and of ``bash`` (typed whole). A command must end well, unless the lines below it show an ``error:``.
What is written: a fence whose info string names a file (```` ```yaml title="lanewise.yaml" ````); of a ``diff`` with a
title, each run of lines is replaced. Other fences are prose.

A comment ``<!-- starts from: SCENE`` says in which folder a page begins, and may be followed by lines that are typed
first and shown to nobody. ``…`` in a shown line stands for anything; so do digests, times and durations.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_STARTS = re.compile(r"<!-- starts from: ([^\n]*?)(?: -->|\n(.*?)-->)", re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')
_LOOSE = (
    (re.compile(r"ed25519-[0-9a-f]+"), r"ed25519-[0-9a-f]+"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:[\d:.]+(Z|\+00:00)?"), r"\d{4}-\d\d-\d\d[ T][\d:.]+(Z|\+00:00)?"),
    (re.compile(r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{7,64}\b"), r"[0-9a-f]{7,64}"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), r"[\d.,]+ m?s"),
    (re.compile(r"[═╌─]{3,}"), r"[═╌─]+"),
    (re.compile(r"\s+"), r"\s+"),
)  # fmt: skip


@dataclass(frozen=True)
class Fence:
    """One fence: its language, the file that it is, its text and its line in the page."""

    language: str
    title: str
    body: str
    line: int


@dataclass(frozen=True)
class Typed:
    """A command and the lines shown below it."""

    command: str
    shown: tuple[str, ...]

    def may_end(self, code: int) -> bool:
        """Whether this exit code is what the page makes a reader expect."""
        if said := re.search(r"# exit code (\d)$", self.command):
            return code == int(said[1])
        return (code != 0) is any(line.startswith("error:") for line in self.shown)


def fences(page: str) -> list[Fence]:
    """Every fence of a page, in order; those in a list lose its indentation."""
    found = []
    for match in _FENCE.finditer(page):
        indent, info, body = match.groups()
        title = _TITLE.search(info)
        text = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        at = page.count("\n", 0, match.start()) + 1
        found.append(Fence(info.split(" ")[0], title[1] if title else "", text, at))
    return found


def start(page: str) -> tuple[str, str]:
    """The scene that a page begins in, and what is typed there beforehand."""
    found = _STARTS.search(page)
    return (found[1].strip(), found[2] or "") if found else ("an empty folder", "")


def typed(body: str) -> list[Typed]:
    """The commands of a ``console`` fence. A command goes on in the next line after a backslash."""
    made: list[tuple[str, list[str]]] = []
    continued = False
    for line in body.splitlines():
        if continued:
            made[-1] = (made[-1][0] + "\n" + line.removeprefix("> "), made[-1][1])
        elif line.startswith("$ "):
            made.append((line[2:], []))
        elif made and line.strip() not in {"", "…"}:
            made[-1][1].append(line.strip())
        continued = bool(made) and not made[-1][1] and line.endswith("\\")
    return [Typed(command, tuple(shown)) for command, shown in made]


def pattern(shown: str) -> re.Pattern[str]:
    """What a shown line may look like when it is printed again."""
    return re.compile(".*".join(_loosened(part, _LOOSE) for part in shown.split("…")))


def _loosened(text: str, rules: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    if not rules:
        return re.escape(text)
    (loose, instead), *others = rules
    ends = [0, *(at for match in loose.finditer(text) for at in match.span()), len(text)]
    plain = [_loosened(text[a:b], tuple(others)) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    return instead.join(plain)


class Shell:
    """One reader's shell: the folder it is in and what was exported stay from one command to the next."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._cwd, self._state = folder, scratch / "exported"
        programs = Path(sys.executable).parent
        self._variables = {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": str(scratch), "LANG": "C.UTF-8",
            "COLUMNS": "120", "GIT_CONFIG_GLOBAL": os.devnull, "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip
        self._state.touch()

    @property
    def cwd(self) -> Path:
        return self._cwd

    def type(self, command: str) -> tuple[int, str]:
        """The exit code, and what a terminal would have shown."""
        where = self._state.with_name("cwd")
        script = f'. "{self._state}"\n{command}\ncode=$?\npwd > "{where}"\nexport -p > "{self._state}"\nexit $code\n'
        done = subprocess.run(
            ["bash", "-c", script], cwd=self._cwd, env=self._variables, check=False, text=True, timeout=240,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if where.exists():
            self._cwd = Path(where.read_text().strip())
        return done.returncode, done.stdout


def walk(page: Path, shell: Shell, transcript: list[str] | None = None) -> list[str]:
    """Do all that a page says; what was not as the page says it, a sentence each."""
    text = page.read_text(encoding="utf-8")
    said = transcript if transcript is not None else []
    code, printed = shell.type(f"set -e\n{start(text)[1]}\nset +e")
    if code:
        return [f"{page.name}: what is typed beforehand ended with {code}:\n{printed}"]
    wrong: list[str] = []
    for fence in fences(text):
        where = f"{page.name}:{fence.line}"
        if fence.title:
            wrong += _write(fence, shell.cwd / fence.title, where)
        elif fence.language == "console":
            for one in typed(fence.body):
                wrong += _check(one, shell, where, said)
        elif fence.language == "bash":
            wrong += _check(Typed(fence.body, ()), shell, where, said)
    return wrong


def _check(one: Typed, shell: Shell, where: str, said: list[str]) -> list[str]:
    code, printed = shell.type(one.command)
    said.append(f"$ {one.command}\n{printed}[{code}]\n")
    lines = iter(line.strip() for line in printed.splitlines())
    missing = [s for s in one.shown if not any(pattern(s).fullmatch(line) for line in lines)][:1]
    wrong = [f"{where}: `{one.command}` does not print {line!r}, but:\n{printed}" for line in missing]
    if not one.may_end(code):
        wrong.append(f"{where}: `{one.command}` ended with {code}:\n{printed}")
    return wrong


def _write(fence: Fence, file: Path, where: str) -> list[str]:
    file.parent.mkdir(parents=True, exist_ok=True)
    if fence.language != "diff":
        file.write_text(fence.body, encoding="utf-8")
        return []
    text, lines = file.read_text(encoding="utf-8"), fence.body.splitlines()
    old = "".join(line[1:] + "\n" for line in lines if line[:1] in {" ", "-", ""})
    new = "".join(line[1:] + "\n" for line in lines if line[:1] in {" ", "+", ""})
    if text.count(old) != 1:
        return [f"{where}: {file.name} has these lines {text.count(old)} times"]
    file.write_text(text.replace(old, new), encoding="utf-8")
    return []
