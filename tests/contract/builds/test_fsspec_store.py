from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from lanewise.adapters.builds.fsspec_store import FsspecBuildStore
from lanewise.domain.ports import BuildStore
from lanewise.testing.build_store import BuildStoreContract


class TestAStoreInAFolder(BuildStoreContract):
    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Callable[[], BuildStore]:
        return lambda: FsspecBuildStore(".lanewise/builds", base=tmp_path)


class TestAStoreAtAFileUrl(BuildStoreContract):
    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Callable[[], BuildStore]:
        return lambda: FsspecBuildStore(f"file://{tmp_path}/store", base=Path("/nowhere"))


class TestAStoreInMemory(BuildStoreContract):
    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Callable[[], BuildStore]:
        url = f"memory://{uuid.uuid4()}/builds"
        return lambda: FsspecBuildStore(url, base=tmp_path)
