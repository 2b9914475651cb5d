"""What a tag may be called: something that is a file name everywhere and can't be taken for a digest."""

from __future__ import annotations

import re

from lanewise.builds.pathcheck import check_path
from lanewise.errors import WrongInput

_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,127}")
_DIGEST_LIKE = re.compile(r"[0-9a-f]{4,64}")


def check_tag(tag: str) -> None:
    """Raise ``WrongInput`` unless ``tag`` can name a build."""
    if not _TAG.fullmatch(tag):
        raise WrongInput(f"{tag!a} can't be a tag", hint="letters, digits and . _ + - only, 128 at most, such as v1.4")
    if _DIGEST_LIKE.fullmatch(tag):
        raise WrongInput(f"{tag!r} can't be a tag: it could be the beginning of a digest", hint=f"such as v{tag}")
    check_path(tag)


def is_tag(text: str) -> bool:
    """Whether ``text`` can be a tag."""
    try:
        check_tag(text)
    except WrongInput:
        return False
    return True
