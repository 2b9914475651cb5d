"""``refused`` gives the one error that a text must cause, with its place checked."""

from __future__ import annotations

import textwrap

import pytest

from lanewise.errors import ConfigError


@pytest.fixture
def refused():
    def check(build, text, where="", **more):
        """``where`` is LINE:COLUMN, both from 1; the place must lie inside the text."""
        with pytest.raises(ConfigError) as caught:
            build(text, **more)
        error = caught.value
        lines = textwrap.dedent(text).splitlines() or [""]
        assert 1 <= error.line <= len(lines), error
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1, error
        if where:
            assert f"{error.line}:{error.column}" == where, error
        return error

    return check
