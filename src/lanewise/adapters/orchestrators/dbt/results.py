"""What dbt itself found while it ran: ``run_results.json`` as findings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lanewise.domain.run import Finding

_PASSED = frozenset({"success", "pass", "no-op", "reused"})
_FAILED = frozenset({"error", "fail", "runtime error", "partial success", "warn"})
_BARE = frozenset({"ERROR", "PARTIAL SUCCESS"})
_REASON = re.compile(r"\b[A-Z]\w+ Error\b[^\n]*(?:\n +[^\n>]+)*")
_TESTS = frozenset({"test", "unit_test"})


def read_findings(target: Path, printed: str = "") -> tuple[Finding, ...]:
    """Every model, seed, hook and test of the invocation that wrote into ``target``; those that failed come first.
    Nothing where dbt never came so far. Of a model in batches dbt keeps no reason; it is in what was ``printed``."""
    results, manifest = _json(target / "run_results.json"), _json(target / "manifest.json")
    nodes = {**manifest.get("nodes", {}), **manifest.get("unit_tests", {})}
    found = []
    for result in results.get("results", ()):
        node = nodes.get(result["unique_id"], {})
        if result.get("message") in _BARE and (reason := _REASON.search(printed)):
            result["message"] = reason[0]
        found.append(_finding(result, node))
        if (node.get("contract") or {}).get("enforced"):
            found.append(_contract(result, node))
    return tuple(sorted(found, key=lambda one: (one.passed is not False, one.passed is not None)))


def _finding(result: Mapping[str, Any], node: Mapping[str, Any]) -> Finding:
    kind, _, rest = str(result["unique_id"]).partition(".")
    status = str(result["status"])
    test = kind in _TESTS
    warns = test and str((node.get("config") or {}).get("severity") or "error").lower() == "warn"
    said = " ".join(str(result.get("message") or "").split())
    if test and result.get("failures"):
        said = f"{result['failures']} failing" + (f": {said}" if said else "")
    return Finding(
        name=str(node.get("name") or rest), kind="test" if test else "task", passed=_passed(status),
        severe=not (warns or status == "warn"), message="" if status in _PASSED else _placed(said, node),
    )  # fmt: skip


def _contract(result: Mapping[str, Any], node: Mapping[str, Any]) -> Finding:
    broken = "enforced contract" in str(result.get("message") or "")
    passed = False if broken else _passed(str(result["status"])) or None
    said = " ".join(str(result["message"]).split()) if broken else ""
    return Finding(f"contract of {node['name']}", "check", passed, message=_placed(said, node))


def _passed(status: str) -> bool | None:
    return True if status in _PASSED else False if status in _FAILED else None


def _placed(said: str, node: Mapping[str, Any]) -> str:
    """With the file, unless dbt names it itself."""
    file = str(node.get("original_file_path") or "")
    return f"{file}: {said}" if said and file and file not in said else said


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
