"""What holds for every test folder."""

from tests.network_guard import forbid_network


def pytest_configure() -> None:
    forbid_network()
