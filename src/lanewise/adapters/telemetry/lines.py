"""Listen to Lanewise's own log, beside whoever prints it."""

from __future__ import annotations

import logging

from lanewise.domain.telemetry import Observer, Said

LABELS = ("environment", "build", "project", "purpose", "run")
"""What the stories put on a line, as ``extra``."""


class Lines(logging.Handler):
    """Mentions each line to an observer."""

    def __init__(self, observer: Observer) -> None:
        super().__init__(logging.INFO)
        self._observer = observer

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        labels = {name: str(getattr(record, name)) for name in LABELS if hasattr(record, name)}
        self._observer.notice(Said(record.created, record.levelname, record.getMessage(), labels))

    def listen(self) -> None:
        """From now on. What was printed before is printed still, and no more than that."""
        log = logging.getLogger("lanewise")
        if not log.handlers and logging.lastResort is not None:
            log.addHandler(logging.lastResort)
        log.addHandler(self)
        if log.getEffectiveLevel() > logging.INFO:
            log.setLevel(logging.INFO)

    def leave(self) -> None:
        """No longer."""
        logging.getLogger("lanewise").removeHandler(self)
