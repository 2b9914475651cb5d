"""``lane init``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from lanewise.errors import OutsideBroke, Refused

app = typer.Typer(rich_markup_mode=None)

_OURS = {".git", ".gitignore", ".lanewise", "README.md", "README", "LICENSE", ".venv"}
"""A folder with nothing but these is new: a pipeline that runs is written into it."""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="The project's folder; made when it is not there.")] = Path(),
    environments: Annotated[
        str, typer.Option("--environments", "-e", metavar="NAMES", help="In promotion order, comma-separated.")
    ] = "dev,stage,prod",
    name: Annotated[str, typer.Option("--name", help="The project's name; the folder's, if not given.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the files and write nothing.")] = False,
) -> None:
    """Write lanewise.yaml and environments.yaml, each line explained. Overwrites nothing."""
    from lanewise.config.scaffold import project_name, scaffold, with_ignored  # noqa: PLC0415 - 200 ms `--help` need not pay

    found = set(os.listdir(directory)) if directory.is_dir() else set()  # noqa: PTH208 - names are all that is needed
    names = [one.strip() for one in environments.split(",") if one.strip()]
    files = scaffold(name or project_name(directory.absolute().name), names, example=found <= _OURS)
    taken = [path for path in files if (directory / path).exists()]
    if taken:
        raise Refused(
            f"there is {', '.join(taken)} already, and nothing was written", hint="`lane config show` reads it"
        )
    if dry_run:
        for path, content in files.items():
            typer.echo(f"--- {path}\n{content}")
        return
    try:
        ignored = directory / ".gitignore"
        files[".gitignore"] = with_ignored(ignored.read_text(encoding="utf-8") if ignored.exists() else "")
        _write(directory, files)
    except (OSError, UnicodeDecodeError) as error:
        raise OutsideBroke(f"{directory} can't be written: {getattr(error, 'strerror', None) or error}") from error
    for path in files:
        typer.echo(f"wrote {directory / path}")
    example = "pipelines/" in "".join(files)
    typer.echo(
        f"next: {'' if example else 'say in lanewise.yaml what is built and run, then '}lane promote --to {names[0]}"
    )


def _write(directory: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        # "x": a file that appeared meanwhile is not overwritten either; .gitignore alone is added to
        with target.open("w" if path == ".gitignore" else "x", encoding="utf-8", newline="\n") as stream:
            stream.write(content)
