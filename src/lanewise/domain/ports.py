"""The ports: what Lanewise needs from the world, each with the promise its conformance suite checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from lanewise.domain.build import Build
from lanewise.domain.comparison import TableComparison
from lanewise.domain.environment import Connection, Environment, SecretRef
from lanewise.domain.event import Draft, Event, Lease
from lanewise.domain.evidence import CheckResult
from lanewise.domain.project import Check, Column, Table
from lanewise.domain.publication import Break, Holding, InputPin, PartitionMap, Pointer, Slice
from lanewise.domain.run import Launch, RunOutcome, RunRequest, Space, Written
from lanewise.domain.serving import Served, Standing


class Ledger(Protocol):
    """The append-only, hash-chained record, its leases and its clock.

    Every method raises ``LedgerUnavailable`` when the store is away, full or read-only; nothing is half written.
    """

    def append(
        self, stream: str, drafts: Sequence[Draft], *, actor: str, expect: int | None = None
    ) -> tuple[Event, ...]:
        """Write all of ``drafts`` or none, durably. ``expect`` is the stream's length they were decided on;
        when it has grown since, raises ``GroundMoved`` and writes nothing."""

    def read(self, stream: str, *, after: int = 0, types: Sequence[str] = ()) -> tuple[Event, ...]:
        """The stream's events with ``version > after``, in order; those of ``types`` alone where any is named."""

    def last(self, stream: str, *types: str) -> Event | None:
        """The stream's newest event, of one of ``types`` where any is named."""

    def streams(self, prefix: str, *, without: Sequence[str] = ()) -> tuple[str, ...]:
        """Names of the streams that start with ``prefix``, oldest first; those that hold an event of a type in
        ``without`` are left out (so ``without=["promotion.finished"]`` gives the open ones)."""

    def events(self, *, after: int = 0, limit: int | None = None, newest_first: bool = False) -> Iterator[Event]:
        """Events of the whole ledger with ``seq > after``, in order of ``seq``."""

    def acquire(self, scope: str, holder: str, ttl: timedelta, *, take_over: bool = False) -> Lease:
        """Grant the scope's lease with a fencing number above every earlier one of that scope.

        Raises ``LeaseHeld`` while another holder's lease has not run out by the ledger's clock, unless
        ``take_over`` (the caller knows that the holder is dead, or is a rollback)."""

    def renew(self, lease: Lease, ttl: timedelta) -> Lease:
        """Extend a lease that is still ours; ``LeaseHeld`` when somebody else has it."""

    def release(self, lease: Lease) -> None:
        """Give it back; nothing happens when it is no longer ours."""

    def holder(self, scope: str) -> Lease | None:
        """Who holds the scope now, if anybody does."""

    def now(self) -> datetime:
        """The ledger's clock, UTC."""

    def head(self) -> tuple[int, str]:
        """The newest event's ``seq`` and ``hash``; ``(0, "")`` when empty."""


class BuildStore(Protocol):
    """Builds by digest. Content never changes; putting the same build twice is nothing.

    Raises ``StoreUnavailable`` when away, full or read-only; nothing is half written.
    """

    def put(self, build: Build, root: Path) -> None:
        """Store the manifest, provenance and the bytes of its files, read below ``root``. Raises
        ``BuildTampered`` when a file no longer has the manifest's digest. A stored build keeps its first provenance."""

    def get(self, digest: str) -> Build:
        """The build with its provenance and tags; ``NotFound`` with near digests and tags otherwise. Verifies
        that the manifest has that digest."""

    def resolve(self, name: str) -> str:
        """The full digest of a digest, a unique prefix (from 4 hex digits) or a tag; else ``NotFound``."""

    def list(self) -> tuple[Build, ...]:
        """Every build, newest first."""

    def tag(self, digest: str, tag: str) -> None:
        """Name a build; a tag that names another build is refused (``Refused``): tags never move."""

    def whole(self, digest: str) -> bool:
        """Whether the build is there with its manifest and all its bytes, by size: cheap, reads none of its files.
        False also for a build that isn't stored."""

    def unpack(self, digest: str, into: Path) -> None:
        """Lay the build's files out in ``into`` (made; must be empty), each verified. Never writes outside it."""

    def remove(self, digest: str) -> None:
        """Drop a build that nothing needs any more (retention decides)."""


class SecretStore(Protocol):
    """One scheme of secret references (``env``, ``file``, ``keyring``, ``vault``)."""

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """The value, now. Raises ``SecretUnavailable`` naming the reference, never showing a value."""

    def age(self, reference: SecretRef) -> timedelta | None:
        """How long ago the value was written; None where the store can't tell."""

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """What is unsafe about the way the value is kept (a file that everybody may read), a sentence each."""


class Warehouse(Protocol):
    """The tables of one pipeline in one environment.

    Readers see one map, whole; slices that no map names are invisible. Bound to its environment, project and
    ``dst`` connection when it is opened. Raises ``WarehouseUnavailable`` when away, full or read-only; then
    readers still see what they saw.
    """

    def pointer(self) -> Pointer:
        """What is live; cheap, opens no engine. ``Pointer(0, fence, "", "")`` when nothing is."""

    def live(self) -> PartitionMap:
        """The live map, whole."""

    def map_at(self, number: int) -> PartitionMap:
        """An earlier map that is still kept; ``NotFound`` otherwise. Map 0 is the empty one."""

    def maps(self) -> tuple[int, ...]:
        """The numbers of the maps that are kept, in order."""

    def missing(self, number: int) -> tuple[str, ...]:
        """What a kept map names and is not there whole (its files by existence and size), a name each; () when going
        back to it would give readers everything. Cheap: reads no data, opens no engine. ``NotFound`` when the map
        itself is no longer kept."""

    def raise_fence(self, fence: int) -> None:
        """From now on refuse writes with an older fence. ``FenceRefused`` when a newer one was seen."""

    def open_run(self, request: RunRequest, tables: Sequence[Table], inputs: Sequence[InputPin]) -> Space:
        """Make a run's own room, which no reader sees, and say how to write there."""

    def written(self, run: str, tables: Sequence[Table]) -> tuple[Written, ...]:
        """What the run left, one entry per wanted table that it wrote to, even with no rows."""

    def stage(self, request: RunRequest, tables: Sequence[Table]) -> Mapping[str, tuple[Slice, ...]]:
        """Turn what the run wrote into slices of the request's fingerprints, still invisible, one or more per
        requested partition (a slice of no rows where it wrote none). For ``merge`` the slice is the live state of
        that partition with the written rows merged over it by key. Columns take the declared types where the
        table declares them, else the live map's where they can be kept."""

    def evaluate(self, table: Table, checks: Sequence[Check], slices: Sequence[Slice]) -> tuple[CheckResult, ...]:
        """Look at exactly these slices. ``row_count`` results carry ``live_rows`` (the same partitions live now)."""

    def columns(self, slices: Sequence[Slice]) -> tuple[Column, ...]:
        """The columns and types that these slices have."""

    def offset(self, table: Table, slices: Sequence[Slice]) -> str | None:
        """The maximum of the table's offset column over these slices, as text; None without rows or offset column."""

    def compare(self, table: Table, old: Sequence[Slice], new: Sequence[Slice]) -> TableComparison:
        """Pair them by partition and key; column tolerances are the table's. Set-based, in the engine."""

    def prepare(self, target: PartitionMap) -> None:
        """Do all that may take time for ``target`` (numbered by the caller, above every kept map) without any
        reader noticing. Safe to repeat after a crash. A column of the contract that an older slice lacks
        reads as a typed NULL."""

    def publish(self, target: PartitionMap, *, base: int, fence: int) -> None:
        """Move the live pointer to a prepared map: readers see all old or all new. Its number is above ``base``.
        Raises ``GroundMoved`` when the live number is not ``base`` or the map is not prepared, ``FenceRefused`` for
        an older fence. Publishing what is live already, under the same fence, is nothing."""

    def revert(self, to: int, *, base: int, fence: int) -> int:
        """Go back: publish exactly the kept map ``to`` again, as a new map under the number ``base + 1``, which is
        returned. Opens no engine, prepares nothing (except for map 0, the empty one). ``map_at(base + 1)`` has the
        tables, build and config of ``map_at(to)``; ``pointer().repeats`` is ``to``. Raises like ``publish``, and
        ``NotFound`` when ``to`` is no longer kept. Going back from ``base`` to ``to`` once more is nothing, whatever
        the fence: after a crash the next holder may simply call it again."""

    def breaks(self, table: str, columns: Sequence[Column]) -> Break | None:
        """What publishing ``table`` with these columns would break for those who read it now; None when nothing: it
        is new, or keeps every published column in its place and type. Cheap; changes nothing."""

    def compact(self) -> tuple[str, ...]:
        """Give reads back what publishing by map costs them, where one version serves a whole table and no kept map
        needs another; the tables that were. Waits for nobody: what is busy is left for the next time."""

    def pin(self, inputs: Sequence[str]) -> tuple[InputPin, ...]:
        """The declared inputs as they are now (``src`` connection); ``NotFound`` for one that isn't there."""

    def discard(self, run: str) -> None:
        """Throw a run's room away. Its staged slices stay until retention drops them."""

    def holdings(self) -> tuple[Holding, ...]:
        """All that takes room, and which maps need it."""

    def drop(self, holdings: Sequence[Holding]) -> int:
        """Delete what the live map and every map kept does not need; bytes freed. Refuses the rest (``Refused``)."""


class Runner(Protocol):
    """Runs a command on this machine."""

    def run(self, launch: Launch) -> RunOutcome:
        """Carry the launch out and wait for it. An exit code other than 0 is an outcome, not an error."""


class Orchestrator(Protocol):
    """Runs a build's code in one environment, by the clock or when told. The local runner is the default.

    Bound to its environment and project when it is opened. Every method waits, with a word, while the orchestrator is
    away, and raises ``OrchestratorUnavailable`` when it stays away; doing the same again afterwards completes it.
    """

    @property
    def own_copy(self) -> bool:
        """Whether a run is started on this machine and wants a copy of the build's files of its own, to work in."""

    def serve(self, served: Served) -> None:
        """Make a build runnable beside the live one, disturbing nothing; serving it twice is nothing. ``Refused`` with
        the orchestrator's own reason when the build does not import, parse or compile there: then it is not served."""

    def withdraw(self, build: str) -> None:
        """The build is no longer needed beside the live one: its queued and running runs are ended, and it goes.
        Nothing when it isn't served. Never touches the live one."""

    def adopt(self, served: Served) -> None:
        """Make a build the live one: from now on schedules run it, as ``served.schedule`` says, and start nothing of
        the one before; returns when the orchestrator itself says so. Nothing when it is live already."""

    def standing(self) -> Standing:
        """What the orchestrator says that it runs."""

    def run(self, launch: Launch) -> RunOutcome:
        """Carry the launch out and wait for it. An exit code other than 0 is an outcome, not an error. Where there is
        a choice, ``scheduled`` and ``rerun`` start the live build, every other purpose a served one. A run of the same
        id is started once: asked for again (after a crash), it is waited for."""


class OrchestratorOpener(Protocol):
    """What an entry point of ``lanewise.orchestrators`` is: opens an orchestrator of its type."""

    def __call__(
        self,
        *,
        home: Path,
        lane: Environment,
        project: str,
        secrets: Secrets,
        say: Callable[[str], None],
    ) -> Orchestrator:
        """``home`` is the project's ``.lanewise`` folder; ``lane`` the environment, whose ``orchestrator`` connection
        is of this type (for ``local`` there is none). Connects to nothing yet."""


class Secrets(Protocol):
    """Every configured store behind one door; picks the store by the reference's scheme."""

    def resolve(self, reference: SecretRef, *, previous: bool = False) -> str:
        """See ``SecretStore.resolve``."""

    def age(self, reference: SecretRef) -> timedelta | None:
        """See ``SecretStore.age``."""

    def concerns(self, reference: SecretRef) -> tuple[str, ...]:
        """See ``SecretStore.concerns``."""

    def redact(self, text: str) -> str:
        """Replace every value that this process has resolved by ``***``."""


class Login(Protocol):
    """Logs in to what a connection names, and out again; found by connection type. Changes nothing there."""

    def __call__(self, connection: Connection, values: Mapping[str, str]) -> str | None:
        """``values`` are the connection's secrets by field; where the server knows several identities, the connection
        is one role's, with its login as ``user`` and ``password``. What was met there, in a few words, where it can be
        told. ``LoginRefused`` when the server says no to them; another ``OutsideBroke`` when it can't be asked."""


class LedgerOpener(Protocol):
    """What an entry point of ``lanewise.ledgers`` is, named by the URL's scheme: opens the ledger at a URL."""

    def __call__(self, url: str, *, base: Path, secrets: Secrets) -> Ledger:
        """``base`` is the project's folder, where relative paths start. Connects to nothing yet. ``WrongInput`` for a
        URL that can't be meant, without showing it: it may hold a password."""


class WarehouseOpener(Protocol):
    """What an entry point of ``lanewise.warehouses`` is: opens a warehouse of its type."""

    def __call__(
        self,
        *,
        home: Path,
        lane: Environment,
        project: str,
        secrets: Secrets,
        say: Callable[[str], None],
    ) -> Warehouse:
        """``home`` is the project's ``.lanewise`` folder; ``lane`` the environment, whose ``dst`` connection is of this
        type; ``say`` tells a person why something takes long."""
