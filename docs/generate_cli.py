# noqa: INP001 - scripts beside the pages, not a package
"""The page docs/reference/cli.md, from the commands themselves."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import typer

from lanewise.cli.app import COMMANDS, Entry, app

PAGE = Path(__file__).parent / "reference" / "cli.md"

_HEAD = """# The command line

<!-- Written by docs/generate.py from the commands' own help: edit that. -->

`lane` works on the project around the current folder, the nearest one above with a `lanewise.yaml`;
`lane -C DIR …` works on another. Data goes to standard output, everything else to standard error, and `--format json`
prints one JSON document.

| exit code | means |
|---|---|
| 0 | done |
| 1 | refused: understood, and not allowed now |
| 2 | wrong input |
| 3 | something outside broke: a disk, a server, a store |

Wherever a command takes a build, it takes the digest, its first digits (four at least) or a tag. `ID` is a promotion,
such as `prod-12`. `lane --install-completion` teaches the shell to complete all of it.
"""

_COMPLETION = {"install_completion", "show_completion", "help"}


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    chapters = dict.fromkeys(entry.chapter for entry in COMMANDS)
    for chapter in chapters:
        parts.append(f"## {chapter}\n")
        parts += [part for entry in COMMANDS if entry.chapter == chapter for part in _command(entry)]
    parts.append("## Options of `lane` itself\n")
    parts.append(_options(typer.main.get_command(app)))
    return "\n".join(parts).rstrip() + "\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by what is typed: ``lane build``, ``lane build show`` …"""
    for entry in COMMANDS:
        command = typer.main.get_command(importlib.import_module(entry.module).app)
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield f"lane {entry.name}", command
        for name, inner in getattr(command, "commands", {}).items():
            yield f"lane {entry.name} {name}", inner


def _command(entry: Entry) -> Iterator[str]:
    for words, command in commands():
        if words.split(" ")[1] != entry.name:
            continue
        yield f"### `{words}`\n"
        yield f"```text\n{words}{_usage(command)}\n```\n"
        yield _prose(command.help or entry.help) + "\n"
        if table := _options(command):
            yield table


def _usage(command: Any) -> str:
    arguments = [_metavar(p) for p in command.params if p.param_type_name == "argument"]
    return "".join(f" {a}" for a in arguments) + " [OPTIONS]"


def _options(command: Any) -> str:
    rows = [
        f"| {_name(p)} | {_cell(p)} |"
        for p in command.params
        if p.name not in _COMPLETION and (p.param_type_name == "option" or getattr(p, "help", ""))
    ]
    return "\n".join(["| | |", "|---|---|", *rows, ""]) if rows else ""


def _name(parameter: Any) -> str:
    value = _metavar(parameter).replace("|", "\\|")
    if parameter.param_type_name == "argument":
        return f"`{value}`"
    return "`" + ", ".join(parameter.opts) + ("" if parameter.is_flag else " " + value) + "`"


def _metavar(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    choices = [str(one.value) for one in kind] if isinstance(kind, type) and issubclass(kind, Enum) else []
    text = parameter.metavar or "|".join(choices) or parameter.name.rstrip("_").upper()
    optional = parameter.param_type_name == "argument" and not parameter.required
    return f"[{text}]" if optional and not text.startswith("[") else text


def _cell(parameter: Any) -> str:
    help_ = (getattr(parameter, "help", "") or "").strip()
    value = getattr(parameter.default, "value", parameter.default)
    shown = parameter.param_type_name == "option" and not parameter.is_flag and value not in (None, "", 0, ())
    needed = " Required." if parameter.param_type_name == "option" and parameter.required else ""
    return (help_ + needed + (f" Default: `{value}`." if shown and not callable(value) else "")).replace("|", "\\|")


def _prose(help_: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", inspect.cleandoc(help_)).strip()
