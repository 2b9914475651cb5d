"""``lane.log``: lines that say which environment, build and run they come from."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

from lanewise.runtime.connection import resolved

_MASK = "***"
_SHORTEST = 4  # shorter values would blot out ordinary words


def labels(document: dict[str, Any]) -> dict[str, str]:
    """What every line carries."""
    run = document.get("run") or {}
    found = {
        "environment": document["environment"],
        "build": (document.get("build") or "").removeprefix("sha256:")[:8],
        "project": document["project"],
        "purpose": run.get("purpose", ""),
        "run": run.get("id", ""),
        "trace_id": traceparent(document)[3:35],
    }
    return {name: value for name, value in found.items() if value}


def traceparent(document: dict[str, Any]) -> str:
    """The span that this process's own hang below, as W3C Trace Context has it; empty where nobody traces."""
    return str(document.get("traceparent") or os.environ.get("TRACEPARENT") or "")


def open_log(document: dict[str, Any]) -> logging.Logger:
    """The project's logger, writing to standard error; JSON where the config or LANEWISE_LOG_FORMAT says so."""
    log = logging.getLogger(f"lanewise.pipeline.{document['project']}")
    wanted = os.environ.get("LANEWISE_LOG_FORMAT") or document.get("log_format") or "text"
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Labelled(labels(document), as_json=wanted == "json"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False  # an orchestrator's root handler would print each line a second time, without labels
    return log


class _Labelled(logging.Formatter):
    """Adds the labels, and strikes out every secret that this process has resolved."""

    def __init__(self, found: dict[str, str], *, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
        self._labels = found
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One line (JSON), or the text with its traceback where there is one."""
        if not self._as_json:
            said = " ".join(f"{name}={value}" for name, value in self._labels.items())
            return _struck(f"{super().format(record)} [{said}]")
        line: dict[str, Any] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname.lower(),
            "event": _struck(record.getMessage()),
            **self._labels,
        }
        if record.exc_info:
            line["exception"] = _struck(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def _struck(text: str) -> str:
    for value in sorted(resolved, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, _MASK)
    return text
