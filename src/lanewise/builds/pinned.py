"""What a build brings along by digest alone: container images and wheels. A name that can move is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lanewise.builds.selection import PROJECT_FILE
from lanewise.errors import ConfigError

_DIGEST = r"sha256:[0-9a-f]{64}"
_REPOSITORY = r"[a-z0-9]+(?:[._:/-]+[a-zA-Z0-9]+)*"
_IMAGE = re.compile(rf"{_REPOSITORY}@{_DIGEST}")
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_WHEEL_DIGEST = re.compile(_DIGEST)


def check_images(images: Mapping[str, str]) -> None:
    """Raise ``ConfigError`` for an image that is not ``repository@sha256:<64 hex digits>``."""
    for name, reference in images.items():
        if not _IMAGE.fullmatch(reference):
            raise ConfigError(
                f"images.{name}: {reference!r} names no digest, so what it means can change",
                file=PROJECT_FILE,
                hint=f"write {reference.partition('@')[0]}@sha256:<64 hex digits>, as the registry shows it",
            )


def check_wheels(wheels: Mapping[str, str]) -> None:
    """Raise ``ConfigError`` for a wheel that is not ``name.whl: sha256:<64 hex digits>``."""
    for name, digest in wheels.items():
        if not _WHEEL.fullmatch(name):
            raise ConfigError(f"wheels: {name!r} is no wheel's file name", file=PROJECT_FILE)
        if not _WHEEL_DIGEST.fullmatch(digest):
            raise ConfigError(
                f"wheels.{name}: {digest!r} is no digest",
                file=PROJECT_FILE,
                hint="write sha256:<64 hex digits>, as `pip hash` prints it",
            )
