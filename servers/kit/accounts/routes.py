"""What the orchestrator asks about the accounts of a server, behind the server's own token."""

from collections.abc import Awaitable, Callable
from typing import Any, Literal, TypeVar

from fastmcp import FastMCP
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.kit.accounts import Accounts
from servers.kit.accounts.returning import FAILURES, completed, told

ACCOUNTS_PATH = "/accounts"
_SIGN_INS_PATH = f"{ACCOUNTS_PATH}/sign-ins"

Body = TypeVar("Body", bound=BaseModel)


class _Begin(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    capabilities: list[str] = Field(default_factory=list[str], max_length=20)
    account: str | None = Field(default=None, max_length=254)
    redirect_uri: str = Field(max_length=2_000, pattern=r"^https?://[^\s#]+$")


class _Complete(BaseModel):
    # What is wrong with it must not be told with the code in it.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    state: str = Field(min_length=1, max_length=500)
    code: str | None = Field(default=None, max_length=4_000, repr=False)
    error: str | None = Field(default=None, max_length=200)
    error_description: str | None = Field(default=None, max_length=2_000)


class _Change(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    is_default: Literal[True]


def is_account_path(path: str) -> bool:
    """Whether one of the routes below is asked for."""
    return path == ACCOUNTS_PATH or path.startswith(f"{ACCOUNTS_PATH}/")


def add_account_routes(mcp: FastMCP[Any], accounts: Accounts) -> None:
    """`/accounts`, `/accounts/sign-ins`, `/accounts/sign-ins/complete`, `/accounts/ACCOUNT`."""

    @mcp.custom_route(ACCOUNTS_PATH, methods=["GET"])
    async def read_accounts(_: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        return await _answered(lambda: _listed(accounts))

    @mcp.custom_route(_SIGN_INS_PATH, methods=["POST"])
    async def begin(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        return await _answered(lambda: _begun(accounts, request), 201)

    @mcp.custom_route(f"{_SIGN_INS_PATH}/complete", methods=["POST"])
    async def complete(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        return await _answered(lambda: _completed(accounts, request))

    # An address may have a slash before its @.
    @mcp.custom_route(f"{ACCOUNTS_PATH}/{{account:path}}", methods=["PATCH", "DELETE"])
    async def change(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]  # it is a route
        work = _forgotten if request.method == "DELETE" else _changed
        return await _answered(lambda: work(accounts, request))


async def _listed(accounts: Accounts) -> dict[str, Any]:
    return {
        "provider": accounts.sign_in.provider,
        "provider_title": accounts.provider.title,
        "setup": accounts.setup(),
        "capabilities": [
            {"name": name, "title": capability.title, "scopes": list(capability.scopes)}
            for name, capability in accounts.sign_in.capabilities.items()
        ],
        "accounts": [account.model_dump(mode="json") for account in await accounts.listed()],
    }


async def _begun(accounts: Accounts, request: Request) -> dict[str, Any]:
    asked = await _body(request, _Begin)
    begun = await accounts.begin(
        asked.capabilities, redirect_uri=asked.redirect_uri, account=asked.account
    )
    return {
        "url": begun.url,
        "state": begun.state,
        "expires_at": begun.expires_at.isoformat().replace("+00:00", "Z"),
    }


async def _completed(accounts: Accounts, request: Request) -> dict[str, Any]:
    answer = (await _body(request, _Complete)).model_dump(exclude_none=True)
    return (await completed(accounts, answer)).model_dump(mode="json")


async def _changed(accounts: Accounts, request: Request) -> dict[str, Any]:
    await _body(request, _Change)
    return (await accounts.make_default(request.path_params["account"])).model_dump(mode="json")


async def _forgotten(accounts: Accounts, request: Request) -> dict[str, Any]:
    forgotten = await accounts.forget(request.path_params["account"])
    return {"revoked": forgotten.is_revoked, "message": forgotten.message}


async def _body(request: Request, model: type[Body]) -> Body:
    return model.model_validate_json(await request.body())


async def _answered(work: Callable[[], Awaitable[dict[str, Any]]], status: int = 200) -> Response:
    try:
        return JSONResponse(await work(), status, {"Cache-Control": "no-store"})
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) or "body" for each in error.errors())
        return _failed(422, "invalid_request", f"These cannot be used: {wrong}.")
    except FAILURES as error:
        return _failed(*told(error), str(error))


def _failed(status: int, code: str, message: str) -> Response:
    error = {"code": code, "message": message}
    return JSONResponse({"error": error}, status, {"Cache-Control": "no-store"})
