"""The URL of a ledger on PostgreSQL, taken apart. Nothing of a URL that may hold a password is ever shown."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from lanewise.domain.environment import SecretRef
from lanewise.errors import WrongInput

SCHEMA = "lanewise_ledger"
"""The schema that the tables are in, where the URL names none."""

_FORM = "postgresql://USER@HOST:PORT/DATABASE?schema=SCHEMA&password=env:NAME"
_LONGEST = 63  # bytes of a name, above which PostgreSQL cuts it off
_WAIT = {"connect_timeout": "10", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3",
         "tcp_user_timeout": "40000", "application_name": "lanewise ledger",
         "client_encoding": "utf8"}  # fmt: skip


@dataclass(frozen=True)
class Address:
    """Where the tables are and how to get there. ``place`` is for people: ``USER@HOST:PORT/DATABASE``."""

    place: str
    schema: str
    parameters: dict[str, str]  # for the driver, short of the password
    password: SecretRef | None

    def __str__(self) -> str:
        return f"{self.place}, schema {self.schema}"


def parse(url: str) -> Address:
    """Take ``postgresql://user@host:port/database?schema=…&password=REFERENCE`` apart.

    Other parameters (``sslmode``, ``sslrootcert``, ``target_session_attrs``, several hosts …) are libpq's. The
    reference's ``#`` may stand as it is or as ``%23``. ``WrongInput`` for a password that is written out.
    """
    _, _, rest = url.partition("://")
    place, _, query = rest.partition("?")
    given = [tuple(each.partition("=")[::2]) for each in query.split("&") if each]
    ours = {name: unquote(value) for name, value in given if name in {"schema", "password"}}
    theirs = [(name, value) for name, value in given if name not in ours]
    _refuse_secrets(place, [name for name, _ in theirs])
    schema, text = ours.get("schema", SCHEMA), ours.get("password")
    if not schema or len(schema.encode()) > _LONGEST or "\0" in schema or schema.startswith("pg_"):
        raise WrongInput("the ledger's URL names a schema that can't be", hint=f"1 to {_LONGEST} bytes, not pg_…")
    parameters = _parameters(place, "&".join(f"{name}={value}" for name, value in theirs))
    return Address(_shown(parameters), schema, parameters, None if text is None else _reference(text))


def _refuse_secrets(place: str, names: list[str]) -> None:
    authority, _, database = place.partition("/")
    user, _, host = authority.rpartition("@")
    if ":" in user or "@" in database or (not user and host.count(":") > 1 and not host.startswith("[")):
        raise WrongInput("the ledger's URL holds a password", hint=f"write {_FORM}; libpq's PGPASSFILE works too")
    for name in names:
        if unquote(name).lower().endswith(("password", "secret", "token")):
            raise WrongInput(f"the ledger's URL may not hold {unquote(name)!r}", hint=f"write {_FORM}")


def _reference(text: str) -> SecretRef:
    from lanewise.config.secrets import is_reference  # noqa: PLC0415 - for a URL with a reference alone

    if not is_reference(text):
        hint = "write password=env:NAME, file:PATH, keyring:SERVICE/NAME or vault:MOUNT/PATH#FIELD"
        raise WrongInput("the password of the ledger's URL is no reference to a secret", hint=hint)
    return SecretRef(text)


def _parameters(place: str, query: str) -> dict[str, str]:
    import psycopg  # noqa: PLC0415 - 100 ms, for this database alone
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        found = conninfo_to_dict(f"postgresql://{place}?{query}")
    except (psycopg.Error, ValueError):  # its words may repeat the URL
        raise WrongInput("the ledger's URL can't be read", hint=f"write {_FORM}") from None
    if found.keys() & {"password", "sslpassword"}:  # libpq sees one in places where nobody else would
        raise WrongInput("the ledger's URL holds a password", hint=f"write {_FORM}; libpq's PGPASSFILE works too")
    if not all(port.isdigit() for port in str(found.get("port", "")).split(",") if port):
        raise WrongInput("the ledger's URL names a port that is no number", hint=f"write {_FORM}")
    if not found.get("dbname"):
        raise WrongInput("the ledger's URL names no database", hint=f"write {_FORM}")
    return {**_WAIT, **{name: str(value) for name, value in found.items() if value is not None}}


def _shown(parameters: dict[str, str]) -> str:
    user, host, port = (parameters.get(name, "") for name in ("user", "host", "port"))
    address = (f"{user}@" if user else "") + (host or "localhost") + (f":{port}" if port else "")
    return f"{address}/{parameters['dbname']}"
