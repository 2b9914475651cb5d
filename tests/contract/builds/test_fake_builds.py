from __future__ import annotations

from collections.abc import Callable

import pytest

from lanewise.domain.ports import BuildStore
from lanewise.testing.build_store import BuildStoreContract
from lanewise.testing.fake_builds import FakeBuildStore


class TestFakeBuildStore(BuildStoreContract):
    @pytest.fixture
    def open_again(self) -> Callable[[], BuildStore]:
        store = FakeBuildStore()
        return lambda: store
