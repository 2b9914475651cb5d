"""The credential helper: ``python -m lanewise.cli.credential`` tells a worker one secret, on a pipe.

Standard input is ``{"reference": "vault:…", "previous": false, "compiled": PATH}``; standard output is the value
and nothing else. ``reference`` is the current one, also when ``previous`` asks for the older version of it.

Only references that the compiled file names are resolved. That stops mistakes, not an attacker: whoever can start
this helper has the same rights as it has. The workers' own policies (one a service account) are the fence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lanewise.bootstrap import Workshop
from lanewise.domain.environment import SecretRef
from lanewise.errors import LaneError, NotFound, Refused, WrongInput

_REQUEST = 'send {"reference": "…", "previous": false, "compiled": "PATH"}'


def main() -> int:
    """Answer one request; the exit code."""
    try:
        reference, previous, compiled = _request(sys.stdin.read())
        document = _document(compiled)
        found = _named(document, compiled, reference)
        value = Workshop(_root(document, compiled)).secrets.resolve(found, previous=previous)
    except LaneError as error:
        print(error.message, *([f"  hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)  # noqa: T201 - this is its output
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - a traceback could quote what was read
        print(f"unexpected {type(error).__name__}", file=sys.stderr)  # noqa: T201 - as above
        return 3
    sys.stdout.buffer.write(value.encode())  # bytes: no line ending is translated
    return 0


def _request(text: str) -> tuple[str, bool, Path]:
    try:
        request = json.loads(text)
    except ValueError:
        request = None
    if not isinstance(request, dict) or not all(isinstance(request.get(key), str) for key in ("reference", "compiled")):
        raise WrongInput("no request on standard input", hint=_REQUEST)
    return request["reference"], request.get("previous") is True, Path(request["compiled"])


def _document(compiled: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(compiled.read_bytes())
    except OSError as error:
        raise NotFound("compiled file", str(compiled), hint=error.strerror or "it cannot be read") from None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise _not_compiled(compiled)
    return document


def _named(document: Mapping[str, Any], compiled: Path, reference: str) -> SecretRef:
    try:
        sections = [connection.get("secrets", {}) for connection in document["connections"].values()]
        known = {found["text"]: found.get("previous") for section in sections for found in section.values()}
    except (AttributeError, KeyError, TypeError):
        raise _not_compiled(compiled) from None
    if reference not in known:
        # Not shown: what is asked for is somebody's text, and may be no reference at all.
        raise Refused("the compiled file names no such secret", hint="declare it in a connection of this environment")
    return SecretRef(reference, known[reference])


def _not_compiled(compiled: Path) -> WrongInput:
    return WrongInput(f"{compiled} is no compiled file", hint="`lane config show ENV` writes one")


def _root(document: Mapping[str, Any], compiled: Path) -> Path:
    """The project's folder, where a relative ``file:`` reference starts."""
    root = document.get("root")
    return Path(root) if isinstance(root, str) and root else compiled.absolute().parent


if __name__ == "__main__":
    sys.exit(main())
