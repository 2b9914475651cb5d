"""``lanewise.lineage.json``: written, read, and believed only where it tells of the very files of its build."""

from __future__ import annotations

import json
from collections.abc import Iterable

from lanewise.domain.build import BuildFile, Manifest
from lanewise.domain.canonical import digest, plain
from lanewise.domain.lineage import LINEAGE_FILE, Lineage, LineageNode

_FORMAT = 1


def files_digest(files: Iterable[BuildFile]) -> str:
    """What a lineage was read from: every file of a build but the lineage itself."""
    return digest([[file.path, file.digest] for file in files if file.path != LINEAGE_FILE])


def write_lineage(lineage: Lineage) -> str:
    """The file's text: the same for the same lineage, a line for each thing, so that a review shows what changed."""
    return json.dumps({"format": _FORMAT, **plain(lineage)}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_lineage(text: str, manifest: Manifest) -> Lineage | None:
    """The lineage in a build's file; None where it is of another format, or tells of other files than the build's."""
    try:
        said = json.loads(text)
        nodes = {
            name: LineageNode(one["checksum"], one["rest"], tuple(one["parents"]), tuple(one["variables"]))
            for name, one in said["nodes"].items()
        }
        found = Lineage(said["files"], said["common"], dict(said["tables"]), nodes)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if said.get("format") == _FORMAT and found.files == files_digest(manifest.files) else None
