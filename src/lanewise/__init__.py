"""Lanewise: one build of a data pipeline through dev, stage and prod."""

from lanewise.runtime import current

__all__ = ["current"]
__version__ = "0.1.0"
