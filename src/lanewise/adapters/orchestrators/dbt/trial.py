"""Try a build out in dbt without running it: does it parse, and is what it computes what lanewise.yaml says?"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lanewise.adapters.orchestrators.dbt.folder import DbtFolder
from lanewise.adapters.orchestrators.dbt.profile import PASSWORD, Profile
from lanewise.adapters.orchestrators.dbt.words import model_of, placed, split
from lanewise.domain.project import Project
from lanewise.errors import OutsideBroke, Refused, WrongInput, nearest_hint

TIMEOUT = 600.0
_STAMP = re.compile(r"^\d\d:\d\d:\d\d\s+", re.MULTILINE)
_FILE = re.compile(r"[\w./-]+\.\w+")
_COMPILATION = re.compile(r"(?:Runtime Error )?Compilation Error\b")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_COMPUTING = ("model", "seed")


@dataclass(frozen=True)
class Trial:
    """How dbt is called outside of runs. ``variables`` are its process's, without the profile's own; ``settings`` what
    ``var()`` says in the environment."""

    executable: str
    environment: str
    profile: Profile
    variables: Mapping[str, str]
    settings: Mapping[str, Any]

    def parse(self, root: Path, files: Iterable[str], project: Project) -> dict[str, Any]:
        """dbt's manifest of a build's files, which lie below ``root``. dbt reads copies, and asks no database.
        ``Refused`` with its own message, file and line when they do not parse."""
        return self._look(root, files, project, ["parse"])

    def compile(self, root: Path, files: Iterable[str], project: Project) -> dict[str, Any]:
        """``parse``, and every model is compiled as far as that needs no database."""
        return self._look(root, files, project, ["compile", "--no-introspect", "--no-populate-cache"])

    def _look(self, root: Path, files: Iterable[str], project: Project, words: list[str]) -> dict[str, Any]:
        with _copied(root, files) as room:
            folder = DbtFolder.of(room / "build", project)
            (room / "profiles.yml").write_text(self.profile.text, encoding="utf-8")
            _, own = split(shlex.split(project.run))
            command = [self.executable, *words, *placed(self.environment, room, {**self.settings, **own})]
            done = _call(command, folder.path, {**self.variables, **self.profile.variables, PASSWORD: "not asked for"})
            found = room / "target" / "manifest.json"
            said = complaint(done.stdout + done.stderr) if done.returncode else ""
            if said and (not found.exists() or _COMPILATION.match(said)):
                raise Refused(f"dbt does not {words[0]} it: {_from_the_top(said, folder, room)}",
                              hint=f"`dbt {words[0]}` says the same; mend it, and build again")  # fmt: skip
            parsed: dict[str, Any] = json.loads(found.read_bytes())  # what asks a database compiles when it runs
            return parsed


def demand_tables(manifest: Mapping[str, Any], project: Project) -> None:
    """``Refused`` when a table of lanewise.yaml is computed by no model or seed, or a source is no declared input."""
    nodes = {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] in _COMPUTING}
    for table in project.tables:
        node = nodes.get(model_of(table))
        if node is None:
            raise Refused(f"no model or seed of the dbt project computes the table {table}",
                          hint=nearest_hint(model_of(table), nodes) or "a snapshot is no table of a run")  # fmt: skip
        if node["config"].get("materialized") == "ephemeral":
            raise Refused(f"{node['original_file_path']}: {table} is ephemeral, so there is nothing to publish",
                          hint="materialise it as a table, an incremental model or a view")  # fmt: skip
    for source in _sources_read(manifest):
        names = {f"{source['source_name']}.{source['name']}", f"{source['schema']}.{source['identifier']}",
                 source["identifier"]}  # fmt: skip
        if names.isdisjoint(project.inputs):
            name = f"{source['source_name']}.{source['name']}"
            raise Refused(f"{source['original_file_path']}: the source {name} is no input of the pipeline",
                          hint=f"add it to lanewise.yaml, so that it can be pinned: `inputs: [{name}]`")  # fmt: skip


def complaint(said: str) -> str:
    """What dbt complains of, on one line: from ``Encountered an error`` or the first ``… Error`` on."""
    text = _STAMP.sub("", _COLOURS.sub("", said)).partition("Traceback (most recent call last)")[0]
    _, _, after = text.partition("Encountered an error:")
    found = after or text[match.start() :] if (match := re.search(r"^\w[\w ]* Error\b", text, re.MULTILINE)) else after
    return " ".join((found or text).split())[:600] or "it says nothing"


def _from_the_top(said: str, folder: DbtFolder, room: Path) -> str:
    """With the files that it names as paths from the build's top, where the dbt project lies deeper."""
    above = folder.path.relative_to(room / "build").as_posix()
    return (
        said
        if above == "."
        else _FILE.sub(lambda m: f"{above}/{m[0]}" if (folder.path / m[0]).is_file() else m[0], said)
    )


def _sources_read(manifest: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The sources that a model, a seed or a test of the project is computed from."""
    read = {parent for node in manifest["nodes"].values() for parent in node.get("depends_on", {}).get("nodes", ())}
    return (source for name, source in manifest["sources"].items() if name in read)


@contextmanager
def _copied(root: Path, files: Iterable[str]) -> Iterator[Path]:
    """A folder of our own with the files in ``build``: dbt writes where it reads."""
    room = Path(tempfile.mkdtemp(prefix="lanewise-dbt-"))
    try:
        for name in files:
            copy = room / "build" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy)
        yield room
    except OSError as error:
        raise OutsideBroke(f"the build can't be laid out for dbt: {error.strerror}") from error
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _call(command: list[str], folder: Path, variables: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - the program that the reviewed config names
            command, cwd=folder, env=dict(variables), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="replace", check=False, timeout=TIMEOUT,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise OutsideBroke(f"dbt has not ended within {TIMEOUT:.0f} s") from error
    except OSError as error:
        raise WrongInput(f"dbt can't be started as {command[0]}: {error.strerror}",
                         hint="name it: `orchestrator_conn: dbt`, connections: `dbt: {type: dbt, executable: PATH}`"
                         ) from error  # fmt: skip
