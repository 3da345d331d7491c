"""Figures for Prometheus, counted at each scrape from the rows and the fleet as they are."""

from collections.abc import Sequence

from fastapi import APIRouter, Response
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from orchestrator.api.deps import AggregatorDep, DatabaseDep, PrincipalDep
from orchestrator.api.problems import problem_responses
from orchestrator.domain.tools import ServerStatus
from orchestrator.store.figures import Figures, figures

router = APIRouter(tags=["health"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class _Metrics(Response):
    media_type = MEDIA_TYPE


@router.get("/metrics", response_class=_Metrics, responses=problem_responses())
async def metrics(
    principal: PrincipalDep, database: DatabaseDep, aggregator: AggregatorDep
) -> _Metrics:
    """Return the figures in Prometheus' text format; needs a token or a login."""
    counted = await database.read(figures, principal.owner_id)
    return _Metrics(generate_latest(_registry(counted, aggregator.servers())))


def _registry(counted: Figures, servers: Sequence[ServerStatus]) -> CollectorRegistry:
    registry = CollectorRegistry()
    turns = Gauge("flotilla_turns", "Turns stored, by state.", ["state"], registry=registry)
    for state, count in counted.turns.items():
        turns.labels(state).set(count)
    calls = Gauge(
        "flotilla_tool_calls",
        "Tool calls stored, by server and state.",
        ["server", "state"],
        registry=registry,
    )
    for (server, state), count in counted.tool_calls.items():
        calls.labels(server, state).set(count)
    cost = Gauge("flotilla_cost_usd", "What all requests to models cost.", registry=registry)
    cost.set(counted.cost_microusd / 1e6)
    _add_requests(registry, counted)
    ready = Gauge(
        "flotilla_server_ready",
        "1 when the server of the fleet is ready.",
        ["server", "state"],
        registry=registry,
    )
    for status in servers:
        ready.labels(status.id, status.state).set(status.state == "ready")
    return registry


def _add_requests(registry: CollectorRegistry, counted: Figures) -> None:
    labels = ["model", "purpose"]
    requests = Gauge(
        "flotilla_model_requests", "Requests to models stored.", labels, registry=registry
    )
    costs = Gauge("flotilla_model_cost_usd", "What they cost.", labels, registry=registry)
    for names, (count, cost_microusd) in counted.requests.items():
        requests.labels(*names).set(count)
        costs.labels(*names).set(cost_microusd / 1e6)
    pending = Gauge(
        "flotilla_usage_pending", "Requests whose cost is still to be told.", registry=registry
    )
    pending.set(counted.usage_pending)
