"""What holds for every test folder."""

import gc

from tests.network_guard import forbid_network


def pytest_configure() -> None:
    forbid_network()


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules, which stay: tests that run it wait for it."""
    gc.collect()
    gc.freeze()
