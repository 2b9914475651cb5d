"""The flow that a deployment's entrypoint loads: the user's own, with audit and publication around it."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, Self

from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.futures import resolve_futures_to_states
from prefect.states import Completed, State

from lanewise.errors import LaneError, Refused
from lanewise.integrations.lane import abandon, begin, publish
from lanewise.integrations.prefect import clock, word
from lanewise.integrations.prefect.patience import patiently
from lanewise.runtime.sign import Sign, read_sign


def load() -> Flow[..., Any]:
    """The user's flow, as this flow run has to run it. What does not load, or may not run, is a flow that fails and
    says why: so the reason stands in the flow run's state and not in a worker's log alone."""
    entry = os.environ.get(word.ENTRY, "")
    if reason := os.environ.get(word.REFUSED):
        return _stands_in(entry, _fails(Refused(reason)))
    sys.path.insert(0, os.getcwd())  # noqa: PTH109 - not by PYTHONPATH, which `lane` would get as well
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(entry, use_placeholder_flow=False)
        _demand_an_end(flow)
    except Exception as error:  # noqa: BLE001 - whatever the build's own code raises while it is imported
        refused = _refused(error.__cause__ or error, entry)
        if os.environ.get(word.BEGUN):
            _abandon(refused.message)
        return _stands_in(entry, _fails(refused))
    if os.environ.get(word.PURPOSE) == word.CHECK:
        return _stands_in(entry, _reports(_with_partitions(flow)))
    flow = _with_partitions(flow)
    if os.environ.get(word.BEGUN):
        _publishing(flow)
    return flow


def _refused(error: BaseException, entry: str) -> Refused:
    """Why the build does not load, with the line of it that is to blame; its traceback goes with it, to the log."""
    if isinstance(error, LaneError):
        reason = error.message
    else:
        own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(os.getcwd())]  # noqa: PTH109
        place = f"{os.path.relpath(own[-1].filename)}:{own[-1].lineno}" if own else entry
        reason = f"{place}: {type(error).__name__}: {error}"
    found = Refused(reason)
    found.__cause__ = error
    return found


def _demand_an_end(flow: Flow[..., Any]) -> None:
    if inspect.isgeneratorfunction(flow.fn) or inspect.isasyncgenfunction(flow.fn):
        raise Refused(f"the flow {flow.name} is a generator, which is never known to have ended well")


def _stands_in(entry: str, code: Callable[..., Any]) -> Flow[..., Any]:
    return Flow(code, name=entry.rpartition(":")[2] or "pipeline", validate_parameters=False)


def _fails(error: BaseException) -> Callable[..., Any]:
    def fails(**given: Any) -> None:  # noqa: ARG001 - whatever the flow run brings
        raise error

    return fails


def _reports(flow: Flow[..., Any]) -> Callable[..., Any]:
    """It loads: what Prefect is to ask of whoever starts it by hand."""

    def reports(**given: Any) -> State[Any]:  # noqa: ARG001 - whatever the flow run brings
        return Completed(message=json.dumps({"flow": flow.name, "schema": flow.parameters.model_dump()}))

    return reports


def _with_partitions(flow: Flow[..., Any]) -> Flow[..., Any]:
    """Every pipeline can be started by hand for chosen partitions, by a parameter that the user's code need not have:
    it finds them in ``run.partitions``."""
    signature = inspect.signature(flow.fn)
    extra = [one for one in signature.parameters.values() if one.kind is one.VAR_KEYWORD]
    if clock.PARAMETER in signature.parameters or extra:
        return flow
    added = inspect.Parameter(clock.PARAMETER, inspect.Parameter.KEYWORD_ONLY, default=None,
                              annotation=list[str] | None)  # fmt: skip
    code = _without_partitions(flow.fn)
    code.__signature__ = signature.replace(parameters=[*signature.parameters.values(), added])  # type: ignore[attr-defined] # what inspect looks for
    code.__annotations__ = {**getattr(flow.fn, "__annotations__", {}), clock.PARAMETER: list[str] | None}
    return _around(flow, code)


def _without_partitions(code: Callable[..., Any]) -> Callable[..., Any]:
    def called(*given: Any, **named: Any) -> Any:
        named.pop(clock.PARAMETER, None)
        return code(*given, **named)

    if not inspect.iscoroutinefunction(code):
        return functools.wraps(code)(called)

    async def awaited(*given: Any, **named: Any) -> Any:
        return await called(*given, **named)

    return functools.wraps(code)(awaited)


def _around(flow: Flow[..., Any], code: Callable[..., Any]) -> Flow[..., Any]:
    """The same flow with ``code`` for its function, its schema told anew."""
    flow.fn = code
    schema = Flow(code, name=flow.name, validate_parameters=False).parameters
    flow.parameters = schema
    return flow


def _publishing(flow: Flow[..., Any]) -> None:
    """Audit and publish when the flow has ended well, as a part of it: when that fails, so does the flow run. Retries
    and the deadline are the environment's; each attempt has a room of its own."""
    sign = _sign()
    settings = (sign.find(word.told().build) or {}).get("settings") or {}
    if "retries" in settings:
        flow.retries = int(settings["retries"] or 0)
    if settings.get("timeout"):
        flow.timeout_seconds = _seconds(str(settings["timeout"]))
    flow.fn = _with_rooms(flow.fn)
    ended = [*flow.on_cancellation_hooks, _was_ended], [*flow.on_crashed_hooks, _was_ended]
    flow.on_cancellation_hooks, flow.on_crashed_hooks = ended


def _seconds(text: str) -> float:
    """A duration as environments.yaml has it: ``45s``, ``30m``, or a number of seconds."""
    number, unit = text.rstrip("smhdw").strip(), text[-1:]
    return float(number) * {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}.get(unit, 1)


def _with_rooms(code: Callable[..., Any]) -> Callable[..., Any]:
    """The flow's function, each call of it an attempt with a room of its own."""
    count = itertools.count()
    if inspect.iscoroutinefunction(code):

        async def awaited(*given: Any, **named: Any) -> Any:
            with _Room(again=next(count) > 0) as room:
                return room.hand_over(await code(*given, **named))

        return functools.wraps(code)(awaited)

    def called(*given: Any, **named: Any) -> Any:
        with _Room(again=next(count) > 0) as room:
            return room.hand_over(code(*given, **named))

    return functools.wraps(code)(called)


class _Room:
    """The room of one attempt. The pull step opened the first; a retry begins anew, since tables that the failed
    attempt handed over must not come twice."""

    def __init__(self, *, again: bool) -> None:
        if again:
            chosen = json.loads(os.environ[word.PARTITIONS])
            run, build = os.environ[word.BEGUN], word.told().build
            word.compiled(patiently(lambda: begin(_sign(), run, build, chosen)))
        self._over = False

    def __enter__(self) -> Self:
        return self

    def hand_over(self, result: Any) -> Any:
        """Publish, unless what the flow returned makes Prefect take it for failed. What it returned."""
        states = resolve_futures_to_states(result)
        bad = [one for one in _states(states) if not one.is_completed()]
        self._over = True
        if bad:
            _abandon(f"{len(bad)} of the states that the flow returned did not complete")
        else:
            patiently(lambda: publish(_sign(), os.environ[word.BEGUN]))
        return states

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if kind is not None and not self._over:
            _abandon(f"{kind.__name__}: {error}")


def _states(result: Any) -> list[State[Any]]:
    if isinstance(result, State):
        return [result]
    if isinstance(result, list | tuple | set):
        return [one for one in result if isinstance(one, State)]
    return []


def _was_ended(flow: Any, flow_run: Any, state: Any) -> None:  # noqa: ARG001 - named by Prefect
    """Prefect calls this when the flow run was cancelled or crashed: its process is gone by then."""
    _abandon(f"the flow run {flow_run.name} {str(state.name).lower()}")


def _abandon(reason: str) -> None:
    """Throw away what was written. Trouble is told: what went wrong first matters more, and is on its way up."""
    try:
        abandon(_sign(), os.environ[word.BEGUN], reason[:2000])
    except LaneError as error:
        print(f"what this run wrote could not be thrown away: {error.message}")  # noqa: T201 - the worker's own log


def _sign() -> Sign:
    place = word.told()
    return read_sign(place.home, place.environment)
