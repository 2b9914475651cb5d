"""Trying identities on PostgreSQL. Nothing is ever committed, no statement of a try is executed beyond its permission
check, and no lock is waited for longer than a tenth of a second."""

from lanewise.adapters.probes.postgres.probe import open_probe

__all__ = ["open_probe"]
