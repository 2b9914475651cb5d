"""``telemetry: http://HOST:4318``, or who else is told what happens, each with references for its headers."""

from __future__ import annotations

from lanewise.config.environment_models import ReceiverModel, TelemetryModel
from lanewise.config.node import Document
from lanewise.config.secrets import HINT, is_reference
from lanewise.domain.environment import Destination, SecretRef


def destinations(document: Document, model: TelemetryModel | None) -> tuple[Destination, ...]:
    """Who is told, in the order of the model; none when the file asks for none."""
    if model is None:
        return ()
    named = {"otlp": model.otlp, "openlineage": model.openlineage}
    return tuple(_destination(document, kind, found) for kind, found in named.items() if found is not None)


def _destination(document: Document, kind: str, model: ReceiverModel) -> Destination:
    return Destination(kind, model.url, {
        name: _reference(document, (kind, name), text) for name, text in model.headers.items()
    })  # fmt: skip


def _reference(document: Document, named: tuple[str, str], text: str) -> SecretRef:
    """Whatever a header is called, it is there to prove something: its value never stands in the file."""
    kind, name = named
    if not is_reference(text):
        place = document.find(["telemetry", kind, "headers", name])
        raise document.error(f"telemetry.{kind}.headers.{name[:60]}: a header is a secret reference", place, hint=HINT)
    return SecretRef(text)
