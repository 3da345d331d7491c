from collections.abc import Generator

import pytest

from tests.orchestrator.api.doorway import Door, serving


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Generator[Door]:
    frontend = tmp_path_factory.mktemp("dist")
    with serving(tmp_path_factory.mktemp("data"), frontend) as running:
        yield running
