"""Empty ledgers on a shared server, and processes that work on one ledger."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from pathlib import Path

from lanewise.testing.postgres import Server

_NUMBERS = itertools.count(1)


def ledger_url(server: Server, database: str = "postgres", user: str = "postgres", **parameters: str) -> str:
    """The URL of a ledger that isn't there yet, in a schema of its own."""
    given = {"schema": f"ledger_{os.getpid()}_{next(_NUMBERS)}", **parameters}
    query = "&".join(f"{name}={value}" for name, value in given.items())
    return f"postgresql://{user}@127.0.0.1:{server.port}/{database}?{query}"


def schema_of(url: str) -> str:
    return url.partition("schema=")[2].partition("&")[0]


WORKER = """
    import random, sys, time
    from datetime import timedelta
    from pathlib import Path
    from lanewise.adapters.ledgers.sql import open_ledger
    from lanewise.domain.event import Draft
    from lanewise.errors import GroundMoved, LeaseHeld, LedgerUnavailable

    url, base, who, rounds = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    chance = random.Random(who)

    def persistent(work):
        # what a person does while the server is away: the same again; a doubt is theirs to clear up, not ours to retry
        for _ in range(200):
            try:
                return work()
            except LedgerUnavailable as error:
                if "is not known" in error.message:
                    raise
                time.sleep(0.1)
        raise SystemExit("the ledger stayed away")

    ledger = open_ledger(url, base=Path(base), patience=30)
    for n in range(rounds):
        stream = f"s{n % 3}"
        drafts = [Draft("t", {"by": who, "n": n, "part": part}) for part in range(3)]
        while True:
            length = getattr(persistent(lambda: ledger.last(stream)), "version", 0)
            try:
                persistent(lambda: ledger.append(stream, drafts, actor="x", expect=length))
                print("wrote", n, flush=True)
                break
            except GroundMoved:
                pass
        try:
            take_over = chance.random() < 0.2
            name = f"{who}/{n}"
            lease = persistent(lambda: ledger.acquire("shop/prod", name, timedelta(hours=1), take_over=take_over))
            print("fence", lease.fence, flush=True)
            persistent(lambda: ledger.release(lease))
        except LeaseHeld:
            pass
"""


def worker(url: str, base: Path, who: int, rounds: int) -> subprocess.Popen[str]:
    """A process that appends batches of three and takes the lease, saying ``wrote N`` and ``fence N``."""
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, str(base), str(who), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
