"""Addresses that are spelled out keep to their own methods.

`DELETE /api/presets/{name}` also matches `/api/presets/default`, which is no preset: without this
it would look for one, and `Allow` would promise what is not there.
"""

from collections.abc import Iterable

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from orchestrator.api.problems import METHODS, problem, problem_response


class SpelledOutAddresses(BaseRoute):
    """Answers 405 where no route of that very address has the method; to be tried first."""

    def __init__(self, routers: Iterable[APIRouter]) -> None:
        self._methods: dict[str, set[str]] = {}
        for router in routers:
            for route in router.routes:
                if isinstance(route, APIRoute) and "{" not in route.path:
                    self._methods.setdefault(route.path, set()).update(route.methods or ())

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match requests whose method the address does not have."""
        if scope["type"] != "http":
            return Match.NONE, {}
        methods = self._methods.get(scope["path"].rstrip("/"))
        is_foreign = methods is not None and scope["method"] not in methods
        return (Match.FULL if is_foreign else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say which methods there are."""
        methods = self._methods[scope["path"].rstrip("/")]
        allowed = ", ".join(method for method in METHODS if method in methods)
        detail = f"{scope['method']} is not possible here; try {allowed}."
        await problem_response(problem(405, detail), {"Allow": allowed})(scope, receive, send)
