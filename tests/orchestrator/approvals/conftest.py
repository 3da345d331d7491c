from tests.orchestrator.store.conftest import database

__all__ = ["database"]
