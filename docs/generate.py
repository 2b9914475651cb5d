# noqa: INP001 - scripts beside the pages, not a package
"""Write the generated pages of docs/reference: ``python -m docs.generate``, which is ``make docs``.

They come from the commands' help, the gates' docstrings and the models of the two files, so that they can't go stale;
tests/architecture compares each with what is committed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from docs import generate_cli, generate_gates

from lanewise.config.schema import NAMES, drawn

REFERENCE = Path(__file__).parent / "reference"


def pages() -> Mapping[Path, str]:
    """File to content, of everything that is generated."""
    schemas = {REFERENCE / f"{name}.schema.json": drawn(name) for name in NAMES}
    return {generate_cli.PAGE: generate_cli.page(), generate_gates.PAGE: generate_gates.page(), **schemas}


def main() -> None:
    """Write them, and the schemas that ship with the package."""
    from lanewise.config.schema import main as write_schemas  # noqa: PLC0415 - only writing needs it

    write_schemas()
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
