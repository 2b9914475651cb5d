"""Reading the reports that commands leave: JUnit XML and SARIF, from code that need not be well-meaning.

A command gets an empty folder (``report_environment`` names it), so that no report of yesterday can be found in
it. XML with a document type is refused, and with it every entity; size and depth are bounded.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from lanewise.domain.evidence import CommandReport
from lanewise.domain.run import RunOutcome
from lanewise.errors import WrongInput

MAX_BYTES = 16 * 1024 * 1024
"""A report beyond this is not read."""

_MAX_DEPTH, _MAX_FILES, _MAX_MESSAGES, _MAX_MESSAGE = 64, 200, 20, 300


@dataclass(frozen=True)
class Cases:
    """What reports count. ``tests`` includes the skipped ones; ``messages`` name the first failures."""

    tests: int
    failures: int
    skipped: int = 0
    messages: tuple[str, ...] = ()


def report_environment(directory: Path, pytest_options: str = "") -> Mapping[str, str]:
    """The variables that make a command leave its report in ``directory`` (which must be new and empty): pytest
    does so by itself, anything else finds the folder in ``LANEWISE_REPORTS``."""
    junit = shlex.quote(f"--junitxml={directory / 'pytest.xml'}")
    return {"LANEWISE_REPORTS": str(directory), "PYTEST_ADDOPTS": f"{pytest_options} {junit}".strip()}


def command_report(outcome: RunOutcome, directory: Path, redact: Callable[[str], str]) -> CommandReport:
    """How the command ended, with the sum of all reports in ``directory`` (``*.xml``, ``*.sarif``, ``*.json``).

    ``redact`` removes secrets from the messages. A report that can't be read leaves ``tests`` at None and says
    why in ``messages``: half a report is no evidence.
    """
    found: list[Cases] = []
    broken: list[str] = []
    for path in _report_files(directory):
        try:
            found.append(read_report(path))
        except WrongInput as error:
            broken.append(error.message)
    messages = tuple(redact(m) for m in (*broken, *(m for cases in found for m in cases.messages)))[:_MAX_MESSAGES]
    return CommandReport(
        exit_code=outcome.exit_code,
        seconds=outcome.seconds,
        tests=sum(cases.tests for cases in found) if found and not broken else None,
        failures=sum(cases.failures for cases in found),
        skipped=sum(cases.skipped for cases in found),
        messages=messages,
        tail=outcome.tail,
    )


def read_report(path: Path) -> Cases:
    """Read one report; ``WrongInput`` when it is too large or not what its name says."""
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise WrongInput(f"the report {path.name} is larger than {MAX_BYTES // 1024**2} MB")
    return parse_junit(data, path.name) if path.suffix == ".xml" else parse_sarif(data, path.name)


def parse_junit(data: bytes, name: str = "report.xml") -> Cases:
    """Count the cases of JUnit XML; ``WrongInput`` for anything else, or for XML with a document type."""
    reader = _JUnit(name)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(data, True)  # noqa: FBT003 - expat's own signature
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise WrongInput(f"the report {name} is no XML: {error}") from error
    return reader.cases()


def parse_sarif(data: bytes, name: str = "report.sarif") -> Cases:
    """Count the results of SARIF 2.1; ``WrongInput`` for anything else.

    SARIF lists complaints, so a tool that ran to its end and had none counts as one passed case. Suppressed
    results, and those gone since the baseline, don't count. Notes don't fail; undecided results do.
    """
    try:
        document = json.loads(data)
        runs = document["runs"]
        counted = [_sarif_run(run) for run in runs]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise WrongInput(f"the report {name} is no SARIF") from error
    return Cases(
        tests=sum(cases.tests for cases in counted),
        failures=sum(cases.failures for cases in counted),
        messages=tuple(m for cases in counted for m in cases.messages)[:_MAX_MESSAGES],
    )


def _report_files(directory: Path) -> list[Path]:
    """Plain files only: a link could lead anywhere."""
    files = (p for p in directory.iterdir() if p.suffix in {".xml", ".sarif", ".json"})
    return sorted(p for p in files if p.is_file() and not p.is_symlink())[:_MAX_FILES]


@dataclass
class _JUnit:
    """Counts while expat reads; nothing of the document is kept but the first messages."""

    name: str
    tests: int = 0
    failures: int = 0
    skipped: int = 0
    claimed: int = 0  # the most failures that a suite's own attributes claim
    messages: list[str] = field(default_factory=list)
    _depth: int = 0
    _case: str | None = None
    _ended: str = ""

    def doctype(self, *_: object) -> None:
        """No document type, so no entities."""
        raise WrongInput(f"the report {self.name} holds a document type", hint="JUnit reports need none")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element opens."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise WrongInput(f"the report {self.name} is nested more than {_MAX_DEPTH} deep")
        if self._depth == 1 and tag not in {"testsuites", "testsuite"}:
            raise WrongInput(f"the report {self.name} is no JUnit report: it starts with <{tag[:40]}>")
        if tag in {"testsuites", "testsuite"}:
            self.claimed = max(self.claimed, _count(attributes, "failures") + _count(attributes, "errors"))
        elif tag == "testcase":
            self.tests += 1
            self._case = ".".join(part for part in (attributes.get("classname"), attributes.get("name")) if part)
            self._ended = "skipped" if attributes.get("status") in {"notrun", "skipped", "disabled"} else ""
        elif self._case is not None and tag in {"failure", "error"}:
            if self._ended != "failed":
                _keep(self.messages, f"{self._case}: {attributes.get('message') or tag}")
            self._ended = "failed"
        elif self._case is not None and tag == "skipped" and not self._ended:
            self._ended = "skipped"

    def end(self, tag: str) -> None:
        """An element closes."""
        self._depth -= 1
        if tag == "testcase":
            self.failures += self._ended == "failed"
            self.skipped += self._ended == "skipped"
            self._case = None

    def cases(self) -> Cases:
        """The sum. Where a suite claims more failures than its cases show, it is believed."""
        return Cases(self.tests, max(self.failures, self.claimed), self.skipped, tuple(self.messages))


def _count(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _keep(messages: list[str], text: str) -> None:
    if len(messages) < _MAX_MESSAGES:
        messages.append(" ".join(text.split())[:_MAX_MESSAGE])


def _sarif_run(run: Mapping[str, Any]) -> Cases:
    driver = run["tool"]["driver"]
    levels = {r["id"]: r.get("defaultConfiguration", {}).get("level") for r in driver.get("rules") or ()}
    counted = failures = 0
    messages: list[str] = []
    if any(i.get("executionSuccessful") is False for i in run.get("invocations") or ()):
        failures += 1
        _keep(messages, f"{driver['name']} did not finish")
    for result in run.get("results") or ():
        if _does_not_count(result):
            continue
        counted += 1
        rule = str(result.get("ruleId", ""))
        if _fails(result, levels.get(rule)):
            failures += 1
            _keep(messages, f"{rule}: {result.get('message', {}).get('text', '')}")
    finished = isinstance(run.get("results"), list)
    return Cases(max(counted, failures, int(finished)), failures, messages=tuple(messages))


def _does_not_count(result: Mapping[str, Any]) -> bool:
    suppressed = any(s.get("status", "accepted") == "accepted" for s in result.get("suppressions") or ())
    return suppressed or result.get("kind") == "notApplicable" or result.get("baselineState") == "absent"


def _fails(result: Mapping[str, Any], rule_level: str | None) -> bool:
    kind = result.get("kind", "fail")
    if kind != "fail":
        return kind not in {"pass", "informational"}
    return (result.get("level") or rule_level or "warning") in {"warning", "error"}
