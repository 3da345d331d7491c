"""Every server of the fleet as a running process, found by its manifest."""

from collections.abc import Generator

import pytest

from servers.kit.manifest import Manifest, all_manifests
from tests.servers.kit.process import ServerProcess, running_server

MANIFESTS = all_manifests()


@pytest.fixture(params=MANIFESTS, ids=lambda manifest: manifest.name)
def manifest(request: pytest.FixtureRequest) -> Manifest:
    return request.param


@pytest.fixture(scope="session", params=[manifest.name for manifest in MANIFESTS])
def server_process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[ServerProcess]:
    with running_server(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server
