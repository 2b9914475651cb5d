"""Open what the config asks for: a courier for each destination, and an ear at Lanewise's own log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lanewise.adapters.telemetry.courier import Courier, Couriers, Sink, SinkOpener
from lanewise.adapters.telemetry.lines import Lines
from lanewise.domain.environment import Destination
from lanewise.domain.ports import Secrets
from lanewise.domain.telemetry import Fact
from lanewise.errors import WrongInput


@dataclass(frozen=True)
class Means:
    """What telling needs. ``opener`` finds an entry point; ``secrets`` makes a door to the secret stores for the
    couriers alone, in whose threads it is used; ``redact`` strikes out what the stories have resolved."""

    opener: Callable[[str], SinkOpener]
    secrets: Callable[[], Secrets]
    redact: Callable[[str], str]
    home: Path
    say: Callable[[str], None]


class Telling:
    """Implements ``Observer`` for all destinations together."""

    def __init__(self, destinations: Sequence[Destination], means: Means) -> None:
        self._couriers = Couriers(
            Courier(f"{one.kind} at {one.url}", partial(_open, one, means), means.say) for one in destinations
        )
        self._lines = Lines(self)
        self._lines.listen()

    def notice(self, fact: Fact) -> None:
        """See ``Observer.notice``."""
        self._couriers.notice(fact)

    def close(self) -> None:
        """See ``Observer.close``."""
        self._lines.leave()
        self._couriers.close()


def _open(destination: Destination, means: Means) -> Sink:
    secrets = means.secrets()
    try:
        opener = means.opener(destination.kind)
    except ImportError as error:
        raise WrongInput(f"it needs {error.name}: pip install 'lanewise[telemetry]'") from error
    headers = {name: secrets.resolve(reference) for name, reference in destination.headers.items()}
    return opener(
        url=destination.url, headers=headers, home=str(means.home),
        redact=lambda text: secrets.redact(means.redact(text)),
    )  # fmt: skip
