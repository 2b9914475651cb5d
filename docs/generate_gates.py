# noqa: INP001 - a script, not a package
"""Write docs/reference/gates.md from the gates' own docstrings: ``python docs/generate_gates.py``."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "gates.md"

_HEAD = """# Gates

<!-- Written by docs/generate_gates.py from the gates' docstrings: edit those. -->

A gate is a condition that a build must meet to enter an environment. It looks *before* anything is computed, at
the computed but unpublished *candidate*, or *after* the release. Its verdict is `pass`, `fail`, `inconclusive` or
`error`, and only `pass` passes: missing, empty, expired or zero-row evidence is inconclusive. Which gates an
environment asks for stands in `environments.yaml` under `promotion:`; see
[choosing gates](../how-to/choose-gates.md) and [writing one](../how-to/write-a-gate.md).
"""


def gates() -> dict[str, str]:
    """Name -> docstring of the module, for every built-in gate, in the order of their names."""
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["lanewise.gates"]
    modules = {name: target.partition(":")[0].replace(".", "/") for name, target in sorted(points.items())}
    return {
        name: ast.get_docstring(ast.parse((ROOT / "src" / f"{module}.py").read_text())) or ""
        for name, module in modules.items()
    }


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for name, text in gates().items():
        parts.append(f"## `{name}`\n\n{text.strip().replace(chr(10) + '## ', chr(10) + '### ')}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
