"""`flotilla approvals`, `approve` and `deny`: the inbox for a person at the terminal."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli.complaint import Complaint
from orchestrator.cli.frame import loaded_settings, need_a_person

if TYPE_CHECKING:
    from orchestrator.cli.door import Door

Scope = Literal["once", "session", "always"]
ApprovalId = Annotated[str, typer.Argument(help="Its id, from `flotilla approvals`.")]

_INSTEAD = "A program decides over the HTTP API, with a token of its own."
_QUESTIONS: dict[Scope, str] = {
    "once": "Let exactly this run, once?",
    "session": "Let this run, and this tool in this session from now on?",
    "always": "Let this run, and this tool everywhere from now on?",
}


def approvals() -> None:
    """List what waits for your decision."""
    with loaded_settings() as settings:
        from orchestrator.cli.door import Door  # noqa: PLC0415 - quick --help
        from orchestrator.cli.readable import approval_text  # noqa: PLC0415

        waiting = _pending(Door(settings))
        if not waiting:
            typer.echo("Nothing waits for you.")
            return
        for approval in waiting:
            typer.echo(approval_text(approval) + "\n")
        typer.echo("Decide with `flotilla approve ID` or `flotilla deny ID`.", err=True)


def approve(
    approval_id: ApprovalId,
    scope: Annotated[Scope, typer.Option(help="For how long the tool need not ask.")] = "once",
) -> None:
    """Show a call that waits and, if you say so, let it run."""
    _decide(approval_id, "approve", {"scope": scope}, _QUESTIONS[scope])


def deny(
    approval_id: ApprovalId,
    reason: Annotated[str, typer.Option(help="What the model or client is told.")] = "",
) -> None:
    """Show a call that waits and, if you say so, refuse it."""
    _decide(approval_id, "deny", {"reason": reason or None}, "Refuse this?")


def _decide(approval_id: str, verb: str, body: dict[str, Any], question: str) -> None:
    with loaded_settings() as settings:
        from urllib.parse import quote  # noqa: PLC0415

        from orchestrator.cli.door import Door  # noqa: PLC0415
        from orchestrator.cli.readable import approval_text  # noqa: PLC0415

        need_a_person(_INSTEAD)
        door = Door(settings)
        path = f"/api/approvals/{quote(approval_id, safe='')}"
        approval = door.ask("GET", path)
        typer.echo(approval_text(approval))
        if approval["state"] != "pending":
            raise Complaint(_what_it_is(approval))
        if not typer.confirm(question):
            raise Complaint("Nothing was decided.")
        typer.echo(_what_it_is(door.ask("POST", f"{path}/{verb}", body)))


def _pending(door: "Door") -> list[dict[str, Any]]:
    """Return all that is pending, the oldest first."""
    found: list[dict[str, Any]] = []
    more = ""
    while True:
        page = door.ask("GET", f"/api/approvals?state=pending&limit=200{more}")
        found += page["items"]
        if page["next_cursor"] is None:
            return found[::-1]
        more = f"&cursor={page['next_cursor']}"


def _what_it_is(approval: dict[str, Any]) -> str:
    return f"It is {approval['state']} since {approval['decided_at']}, by {approval['decided_by']}."
