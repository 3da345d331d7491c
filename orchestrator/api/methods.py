"""Addresses that are spelled out keep to their own methods.

`DELETE /api/presets/{name}` also matches `/api/presets/default`, which is no preset: without this
it would look for one, and `Allow` would promise what is not there. The same holds for
`/api/accounts/{server}/sign-ins` and `/api/accounts/{server}/{account}`.
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
        found = (route for router in routers for route in router.routes)
        routes = [route for route in found if isinstance(route, APIRoute)]
        self._methods: dict[str, set[str]] = {}
        for route in routes:
            self._methods.setdefault(route.path_format, set()).update(route.methods or ())
        self._patterns = [
            (route.path_regex, self._methods[route.path_format])
            for route in routes
            if "{" in route.path_format and _is_within_another(route, routes)
        ]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match requests whose method the address does not have."""
        if scope["type"] != "http":
            return Match.NONE, {}
        methods = self._methods_at(scope["path"])
        is_foreign = methods is not None and scope["method"] not in methods
        return (Match.FULL if is_foreign else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say which methods there are."""
        methods = self._methods_at(scope["path"]) or set()
        allowed = ", ".join(method for method in METHODS if method in methods)
        detail = f"{scope['method']} is not possible here; try {allowed}."
        await problem_response(problem(405, detail), {"Allow": allowed})(scope, receive, send)

    def _methods_at(self, path: str) -> set[str] | None:
        """Return what a spelled-out address can do; None for any other."""
        path = path.rstrip("/")
        found = (methods for pattern, methods in self._patterns if pattern.match(path))
        return self._methods.get(path) or next(found, None)


def _is_within_another(route: APIRoute, routes: Iterable[APIRoute]) -> bool:
    """Whether a parameter of another route takes what this one spells out."""
    return any(
        other.path_format != route.path_format and other.path_regex.match(route.path_format)
        for other in routes
    )
