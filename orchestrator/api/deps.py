"""What routes ask for by type."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from orchestrator.api.authenticator import Authenticator, Principal
from orchestrator.store.database import Database


def _principal(connection: HTTPConnection) -> Principal:
    return connection.state.principal


def _authenticator(connection: HTTPConnection) -> Authenticator:
    return connection.app.state.authenticator


def _database(connection: HTTPConnection) -> Database:
    return connection.app.state.database


PrincipalDep = Annotated[Principal, Depends(_principal)]
AuthenticatorDep = Annotated[Authenticator, Depends(_authenticator)]
DatabaseDep = Annotated[Database, Depends(_database)]
