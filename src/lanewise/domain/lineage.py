"""What a build's own tool (dbt) knows of how its tables are computed: so that a change forks the tables it concerns,
and no others. It travels in the build, as ``lanewise.lineage.json``, and says nothing about any environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from lanewise.domain.build import BuildFile
from lanewise.domain.project import Project

LINEAGE_FILE = "lanewise.lineage.json"


@dataclass(frozen=True)
class LineageNode:
    """One thing that a table is computed by: a model, a seed, a source.

    ``checksum`` is the tool's own, of the node's text; ``rest`` the digest of what else makes its content (its
    configuration as written, the macros that it calls); ``variables`` the settings that it may ask for.
    """

    checksum: str
    rest: str
    parents: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lineage:
    """``files`` is the digest of the files it was read from; of others it says nothing. ``tables`` maps a table to the
    node that computes it; ``common`` is the digest of what concerns all of them."""

    files: str
    common: str = ""
    tables: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, LineageNode] = field(default_factory=dict)

    def of(self, table: str) -> dict[str, LineageNode]:
        """The table's node and all that it is computed from, by name; nothing for a table that is not told of."""
        found: dict[str, LineageNode] = {}
        left = [self.tables[table]] if table in self.tables else []
        while left:
            name = left.pop()
            if name not in found and name in self.nodes:
                found[name] = self.nodes[name]
                left.extend(self.nodes[name].parents)
        return dict(sorted(found.items()))


@runtime_checkable
class Tracer(Protocol):
    """An orchestrator that knows how tables are computed."""

    def traces(self, root: Path, project: Project) -> bool:
        """Whether the project in ``root`` is of its kind."""

    def trace(self, root: Path, files: Sequence[BuildFile], project: Project) -> Lineage:
        """Look at a build's files, which lie below ``root``. ``Refused`` when they do not parse."""
