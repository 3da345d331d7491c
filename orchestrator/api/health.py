"""Whether the process lives, and whether it can take messages. Both are public and tell no more."""

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Connection, select

from orchestrator.api.deps import DatabaseDep
from orchestrator.api.problems import problem_responses
from orchestrator.store.access_schema import owners

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = version("flotilla")


@router.get("/health", responses=problem_responses())
async def health() -> Health:
    """Answer while the event loop runs."""
    return Health()


@router.get("/health/ready", responses=problem_responses())
async def ready(database: DatabaseDep) -> Health:
    """Answer once the database can be read; servers of the fleet may still be away."""
    await database.read(_probe)
    return Health()


def _probe(conn: Connection) -> None:
    conn.execute(select(owners.c.id).limit(1))
