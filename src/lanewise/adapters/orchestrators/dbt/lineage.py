"""From dbt's manifest to a lineage: its own checksum of every node, and what else makes a node's content. Nothing in it
comes from a target: what is rendered for one is left out, so the lineage is the same in every environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lanewise.adapters.orchestrators.dbt.words import model_of
from lanewise.domain.build import BuildFile
from lanewise.domain.canonical import digest
from lanewise.domain.lineage import Lineage, LineageNode
from lanewise.domain.project import Project
from lanewise.publication.lineage import files_digest

_COMMON = ("vars", "on-run-start", "on-run-end", "dispatch", "flags", "quoting")
_DESCRIBING = frozenset({"tags", "meta", "docs", "description", "grants", "group", "access", "enabled", "query_tag"})
_JUDGING = ("severity", "warn_if", "error_if", "fail_calc", "where", "limit")
_VAR = re.compile(r"\bvar\(\s*['\"]([^'\"]+)['\"]")
_COMPUTING = ("model", "seed")
_BUILTIN = frozenset({"dbt", "dbt_duckdb", "dbt_postgres"})


def lineage_of(
    manifest: Mapping[str, Any], said: Mapping[str, Any], files: Sequence[BuildFile], project: Project
) -> Lineage:
    """``said`` is ``dbt_project.yml``; ``files`` are the build's, the dbt project's among them."""
    reading = _Reading(manifest, {file.path: file.digest for file in files})
    computing = {node["name"]: name for name, node in manifest["nodes"].items() if node["resource_type"] in _COMPUTING}
    tables = {table: computing[model_of(table)] for table in project.tables if model_of(table) in computing}
    every = Lineage("", nodes=reading.nodes(), tables=tables)
    needed = {name: node for table in tables for name, node in every.of(table).items()}
    common = digest({key: said.get(key) for key in _COMMON})
    return Lineage(files_digest(files), common, tables, dict(sorted(needed.items())))


class _Reading:
    """One manifest."""

    def __init__(self, manifest: Mapping[str, Any], files: Mapping[str, str]) -> None:
        self._manifest = manifest
        self._files = files
        self._macros: Mapping[str, Any] = manifest["macros"]
        self._project = manifest["metadata"]["project_name"]
        self._tests = self._tests_by_node()

    def nodes(self) -> dict[str, LineageNode]:
        """Everything that another node may be computed from; tests are not among it."""
        kinds = ("nodes", "sources", "functions")
        every = {name: node for kind in kinds for name, node in self._manifest.get(kind, {}).items()}
        return {
            name: self._node(node) for name, node in every.items() if node["resource_type"] not in {"test", "operation"}
        }

    def _node(self, node: Mapping[str, Any]) -> LineageNode:
        if node["resource_type"] == "source":
            known = [node["source_name"], node["name"], _written(node)]
            return LineageNode("", digest(known))
        macros = self._called(node)
        texts = [str(node.get("raw_code") or ""), *(macro["macro_sql"] for macro in macros.values())]
        contract = (node.get("config") or {}).get("contract") or {}
        columns = [[c["name"], c.get("data_type"), c.get("constraints")] for c in node.get("columns", {}).values()]
        rest = {
            "config": _written(node),
            "hooks": [[hook.get("sql") for hook in node["config"].get(key) or ()] for key in ("pre-hook", "post-hook")],
            "contract": [columns, node.get("constraints")] if contract.get("enforced") else None,
            "macros": {name: digest(macro["macro_sql"]) for name, macro in macros.items()},
            "tests": self._tests.get(node["unique_id"], []),
            "package": "" if node["package_name"] == self._project else node["package_name"],
        }
        variables = sorted({name for text in texts for name in _VAR.findall(text)})
        parents = tuple(sorted(node.get("depends_on", {}).get("nodes", ())))
        return LineageNode(self._checksum(node), digest(rest), parents, tuple(variables))

    def _tests_by_node(self) -> dict[str, list[str]]:
        """dbt tests what it computes: a changed test has the tables that it looks at computed anew, or nobody would
        know what it says of them."""
        found: dict[str, list[str]] = {}
        data = [node for node in self._manifest["nodes"].values() if node["resource_type"] == "test"]
        units = list(self._manifest.get("unit_tests", {}).values())
        for test in [*data, *units]:
            config = {key: (test.get("unrendered_config") or {}).get(key) for key in _JUDGING}
            macros = {name: digest(macro["macro_sql"]) for name, macro in self._called(test).items()}
            said = [test.get(key) for key in ("raw_code", "test_metadata", "given", "expect", "overrides")]
            for name in test.get("depends_on", {}).get("nodes", ()):
                found.setdefault(name, []).append(digest([said, config, macros]))
        return {name: sorted(digests) for name, digests in found.items()}

    def _checksum(self, node: Mapping[str, Any]) -> str:
        """dbt's own; of a large seed dbt sums up the path alone, so there it is the file's."""
        found = node.get("checksum") or {}
        if found.get("name") == "sha256":
            return str(found["checksum"])
        path = str(node["original_file_path"])
        return next((digest_ for name, digest_ in self._files.items() if name.endswith(path)), path)

    def _called(self, node: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        """The macros that a node calls, and those that they call: the project's and its packages', not dbt's own, which
        the lock file pins. A materialisation of the project's own is one of them."""
        config = node.get("config") or {}
        own = f"materialization_{config.get('materialized')}_"
        left = [*node.get("depends_on", {}).get("macros", ())]
        left += [name for name in self._macros if name.rpartition(".")[2].startswith(own)]
        return self._closure(left)

    def _closure(self, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        left = list(names)
        while left:
            name = left.pop()
            macro = self._macros.get(name)
            if macro is None or name in found or macro["package_name"] in _BUILTIN:
                continue
            found[name] = macro
            left.extend(macro.get("depends_on", {}).get("macros", ()))
        return dict(sorted(found.items()))


def _written(node: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as it is written, not as it is rendered for one target."""
    return {key: value for key, value in (node.get("unrendered_config") or {}).items() if key not in _DESCRIBING}
