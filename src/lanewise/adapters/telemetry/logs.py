"""Lanewise's own log lines, through structlog: text for people, JSON for programs, each with its labels.

The stories log through the standard library (``logging.getLogger("lanewise.run")``) with the labels as ``extra``.
Only commands that run things import this module: structlog takes 200 ms.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor

from lanewise.adapters.telemetry.lines import LABELS, Lines


def configure_logs(
    log_format: str, labels: Mapping[str, str], *, level: int = logging.INFO, redact: Callable[[str], str] = str
) -> None:
    """From now on every line goes to standard error. ``labels`` are on each line from the first one on; a line's own
    win. ``log_format`` is ``text`` or ``json``; LANEWISE_LOG_FORMAT overrides it."""
    wanted = os.environ.get("LANEWISE_LOG_FORMAT") or log_format
    fixed = {name: value for name, value in labels.items() if value}

    def label(_: Any, __: str, event: EventDict) -> EventDict:
        return {**fixed, **event}

    def strike(_: Any, __: str, event: EventDict) -> EventDict:
        return {name: redact(value) if isinstance(value, str) else value for name, value in event.items()}

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(LABELS),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        label,
        strike,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if wanted == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last]
        )
    )
    log = logging.getLogger("lanewise")
    log.handlers = [handler, *(one for one in log.handlers if isinstance(one, Lines))]
    log.setLevel(level)
    log.propagate = False
