"""The ledger's lines. An event is written once and never changed.

======================================  ===============================================================================
stream                                  event types
======================================  ===============================================================================
``config/PROJECT``                      ``config.proposed`` ``config.approved`` ``config.applied``
``build/PROJECT``                       ``build.recorded`` ``build.tagged``
``environment/PROJECT/ENV``             ``release.changed`` ``release.withdrawn`` ``release.adopted``
                                        ``rollback.intended``
                                        ``environment.paused`` ``environment.resumed`` ``environment.locked``
                                        ``build.quarantined`` ``quarantine.lifted``
                                        ``followup.opened`` ``followup.settled`` ``gc.applied``
``promotion/PROJECT/ENV/N``             ``promotion.requested`` ``promotion.planned`` ``promotion.moved``
(its id is ``ENV-N``)                   ``gate.judged`` ``approval.given`` ``glass.broken``
                                        ``step.intended`` ``step.done`` ``step.observed`` ``promotion.finished``
``run/PROJECT/ENV/ID``                  ``run.intended`` ``run.ended`` ``run.audited`` ``run.published`` ``run.failed``
``isolation/PROJECT``                   ``isolation.measured``
``ledger/checkpoints``                  ``checkpoint.signed``
======================================  ===============================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Draft:
    """An event to be: its type (``promotion.requested``) and its data, JSON values only, never a secret."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """A written event. ``seq`` counts from 1 over the whole ledger without gaps, ``version`` from 1 in its stream.

    ``hash`` covers every other field and ``previous``, the hash of the event before.
    """

    seq: int
    stream: str
    version: int
    type: str
    at: str  # ISO 8601 UTC with microseconds, by the ledger's clock
    actor: str
    data: Mapping[str, Any]
    previous: str
    hash: str


@dataclass(frozen=True)
class Lease:
    """The right to work in ``scope`` (``PROJECT/ENV``) until ``until``. ``fence`` grows with each grant."""

    scope: str
    holder: str
    fence: int
    until: datetime
