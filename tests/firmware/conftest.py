"""Fixtures of the firmware's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine_host import EngineHost, build


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    """The engine under sanitizers, one process for the session."""
    host = EngineHost(build(tmp_path_factory.mktemp("engine")))
    yield host
    host.close()
