"""Projects on disk for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lanewise.domain.project import Project, Source

FILES = {
    "lanewise.yaml": "project: orders\n",
    "pipelines/orders.py": "print()\n",
    "requirements.txt": "duckdb==2.0.0\n",
}


def lay(root: Path, files: dict[str, str] | None = None) -> Path:
    for path, text in (FILES if files is None else files).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def project(*include: str, exclude: tuple[str, ...] = (), lock: str | None = None, **more: Any) -> Project:
    source = Source(include or ("pipelines/**", "requirements.txt"), exclude, lock)
    return Project("orders", source, "python -m pipelines.orders", **more)
