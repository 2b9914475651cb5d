"""The road sign of an environment: which build is live in it and which stand beside it, as one small JSON file that
code inside an orchestrator reads. Written by ``lanewise.service.signs``; reading it needs no ledger, store or server.

::

    .lanewise/signs/ENV.json
    {"format": 1,
     "project": "orders", "environment": "prod",
     "home": "/srv/orders/.lanewise",
     "lane": ["/srv/lanewise/bin/python", "-m", "lanewise"],     how `lane` is started on this machine
     "environments": ["dev", "stage", "prod"],     all of the project's, so that another's name is known as such
     "live": null | SERVED,
     "candidates": [SERVED, …]}

    SERVED: {"build": "sha256:…", "config": "sha256:…", "entry": "orders",
             "schedule": "paused" | "as written" | a cron expression,
             "settings": {…}, "number": the map it went live as, or 0}

The code of a build lies in ``.lanewise/unpacked/HEX``, its manifest in ``.lanewise/manifests/HEX.json`` (whose SHA-256
is the build's name, so that both can be verified), what it is told of its environment in
``.lanewise/compiled/HEX/ENV.json``.
"""

from __future__ import annotations

import os

from lanewise.errors import BuildTampered, ConfigError, NotFound
from lanewise.runtime.compiled import parse
from lanewise.runtime.place import HOME, UNPACKED, environment_name

TYPE_CHECKING = False  # as type checkers know it; importing `typing` would cost 6 ms
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1
_NAME = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-")
_CODE = (".py", ".pyc", ".so", ".pyd")
HOME_VARIABLE = "LANEWISE_HOME"
"""The project's ``.lanewise`` folder, for code that does not lie in it."""


class Sign:
    """One reading of the sign. ``live`` and ``candidates`` are the documents told above, as they stand."""

    __slots__ = ("candidates", "environment", "environments", "home", "lane", "live", "project")

    def __init__(self, document: dict[str, Any]) -> None:
        self.project = str(document["project"])
        self.environment = str(document["environment"])
        self.home = str(document["home"])
        self.lane: list[str] = list(document["lane"])
        self.environments: list[str] = list(document.get("environments", ()))
        self.live: dict[str, Any] | None = document["live"]
        self.candidates: list[dict[str, Any]] = list(document["candidates"])

    def find(self, build: str) -> dict[str, Any] | None:
        """What the sign says of a build, live or candidate; None where it does not name it."""
        every = ([self.live] if self.live else []) + self.candidates
        return next((one for one in every if one["build"] == build), None)

    def code(self, build: str) -> str:
        """The folder of a build's files."""
        return f"{self.home}/{UNPACKED}/{build.removeprefix('sha256:')}"

    def compiled(self, build: str) -> str:
        """The file that tells a build about this environment."""
        return f"{self.home}/compiled/{build.removeprefix('sha256:')}/{self.environment}.json"

    def run(self, identifier: str) -> str:
        """The file that tells a run about itself, while it is under way; what ``LANEWISE_COMPILED`` names."""
        return run_file(self.home, identifier)


def run_file(home: str, identifier: str) -> str:
    """Where a run is told about itself. ``NotFound`` for what is no run's name: it comes from an orchestrator, where
    more people may write than here, and names a file."""
    if not identifier or identifier.startswith(".") or not set(identifier) <= _NAME:
        raise NotFound("run", identifier[:60])
    return f"{home}/runs/{identifier}.json"


def sign_file(home: str, environment: str) -> str:
    """Where the sign of an environment stands."""
    return f"{home}/signs/{environment}.json"


def home_of(given: str = "") -> str:
    """The ``.lanewise`` folder: the one given, else ``LANEWISE_HOME``. ``ConfigError`` without either."""
    home = given or os.environ.get(HOME_VARIABLE, "")
    if not home:
        raise ConfigError(f"no project is named: {HOME_VARIABLE} is not set",
                          hint=f"set it to the project's {HOME} folder")  # fmt: skip
    return home if os.path.basename(home) == HOME else f"{home}/{HOME}"  # noqa: PTH119 - pathlib costs 4 ms


def read_sign(home: str = "", environment: str = "") -> Sign:
    """Read the sign. ``environment`` as ``lanewise.current()`` finds it, unless given. ``NotFound`` where none was ever
    put up, ``ConfigError`` where it can't be read."""
    folder = home_of(home)
    name = environment or environment_name("", "LANEWISE_ENV")
    path = sign_file(folder, name)
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib costs 4 ms
            document = parse(file.read())
    except FileNotFoundError as error:
        hint = f"`lane promote --to {name}` puts it up, and so does `lane follow {name}`"
        raise NotFound("road sign", path, hint=hint) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"can't be read: {getattr(error, 'strerror', '') or 'it is no JSON'}", file=path) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("environment") != name:
        raise ConfigError(f"is no road sign of {name} in format {FORMAT}", file=path)
    return Sign(document)


def verify(home: str, build: str) -> str:
    """Read every file of an unpacked build against its manifest, and the manifest against the build's name.

    Returns the folder. ``BuildTampered`` names the first file that is not as it was built, or the code beside them that
    is none of the build's; ``NotFound`` where the build is not unpacked here.
    """
    import hashlib  # noqa: PLC0415 - 3 ms that reading a sign need not pay

    name = build.removeprefix("sha256:")
    folder, path = f"{home}/{UNPACKED}/{name}", f"{home}/manifests/{name}.json"
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            content = file.read()
    except OSError as error:
        raise NotFound("unpacked build", name[:8], hint="`lane follow ENV` unpacks what is live") from error
    if hashlib.sha256(content).hexdigest() != name:
        raise BuildTampered(f"{path} is not the manifest of build {name[:8]}", hint=f"delete it and {folder}")
    hint, files = f"find out who writes there, then delete {folder}", parse(content.decode())["files"]
    for entry in files:
        if _fault(f"{folder}/{entry['path']}", entry):
            raise BuildTampered(f"the unpacked build {name[:8]} is not what was built: {entry['path']!r} was changed",
                                hint=hint)  # fmt: skip
    stranger = _stranger(folder, {entry["path"] for entry in files})
    if stranger:
        raise BuildTampered(f"the unpacked build {name[:8]} is not what was built: {stranger!r} is none of its files",
                            hint=hint)  # fmt: skip
    return folder


def _stranger(folder: str, own: set[str]) -> str:
    """Code that lies among a build's files and is none of them: where an orchestrator runs a build from its folder, it
    would be found like the build's own. What a run has left there besides is nobody's code."""
    for place, inside, files in os.walk(folder):
        for name in [*inside, *files]:
            path = f"{place}/{name}"
            code = os.path.islink(path) or (name in files and name.endswith(_CODE))  # noqa: PTH114 - as above
            if code and path[len(folder) + 1 :] not in own:
                return path[len(folder) + 1 :]
        inside[:] = [name for name in inside if name != "__pycache__"]  # what Python has made of them
    return ""


def _fault(path: str, entry: dict[str, Any]) -> bool:
    import hashlib  # noqa: PLC0415 - as above

    try:
        if os.path.islink(path):  # noqa: PTH114 - as above
            return True
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return bool("sha256:" + hashlib.sha256(file.read()).hexdigest() != entry["digest"])
    except OSError:
        return True
