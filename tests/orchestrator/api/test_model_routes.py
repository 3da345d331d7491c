"""The routes of models: found, counted, read anew, and there when nobody else is."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.fakes.compatible import KEY, FakeCompatible, running_compatible
from tests.fakes.openrouter import API_KEY, FakeOpenRouter, running_fake
from tests.orchestrator.api.doorway import Door
from tests.orchestrator.api.house import token_of, whole_house


@pytest.fixture
def upstream() -> Iterator[FakeOpenRouter]:
    with running_fake() as fake:
        yield fake


@pytest.fixture
def together() -> Iterator[FakeCompatible]:
    with running_compatible("together") as fake:
        yield fake


@contextmanager
def house(
    folder: Path, upstream: FakeOpenRouter, named: dict[str, Any] | None = None
) -> Iterator[Door]:
    (folder / "data").mkdir(exist_ok=True)
    document = {"version": 1, "endpoints": named or {}}
    (folder / "data" / "model_settings.json").write_text(json.dumps(document))
    more = {"openrouter_base_url": upstream.base_url, "openrouter_api_key": API_KEY}
    with whole_house(folder, **more) as door:
        door.headers = door.bearer
        yield door


def get(door: Door, path: str) -> Any:
    answer = door.ask("GET", path, door.headers)
    assert answer.status == 200, answer.body
    return answer.json


def ids(page: Any) -> list[str]:
    return [item["id"] for item in page["items"]]


def test_models_of_all_endpoints_are_listed_with_facets(
    tmp_path: Path,
    upstream: FakeOpenRouter,
    together: FakeCompatible,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", KEY)
    config = {"base_url": together.base_url, "title": "Together", "api_key_env": "TOGETHER_API_KEY"}
    away = {"base_url": "http://127.0.0.1:9/v1"}
    with house(tmp_path, upstream, {"together": config, "attic": away}) as door:
        page = get(door, "/api/models?sort=price")
        slashed = get(door, "/api/models/?q=llama&endpoint=together")
        one = get(door, f"/api/models/{quote('together:' + together.model, safe='/')}")

    assert (page["total"], page["stale"], page["next_cursor"]) == (6, False, None)
    assert ids(page)[0] == f"together:{together.model}"
    assert page["facets"]["price"] == {"min": "0.88", "max": "1"}
    assert page["facets"]["context"] == {"min": 128_000, "max": 131_072}
    assert page["facets"]["tools"] == {"yes": 5, "no": 0, "unknown": 1}
    assert page["facets"]["endpoints"] == [
        {"value": "openrouter", "count": 5},
        {"value": "together", "count": 1},
    ]
    assert [(s["title"], s["count"], s["problem"]) for s in page["sources"]] == [
        ("OpenRouter", 5, None),
        ("Together", 1, None),
        (
            "attic",
            0,
            (
                "attic at 127.0.0.1:9 did not give its list of models. "
                "Try again, or check the base_url of the endpoint 'attic'."
            ),
        ),
    ]
    assert ids(slashed) == [one["id"]] == [f"together:{together.model}"]
    assert one["pricing"]["prompt"] == "0.88"


def test_pages_follow_each_other_also_when_the_list_changes(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    with house(tmp_path, upstream) as door:
        first = get(door, "/api/models?limit=2")
        upstream.listing = {"data": [{"id": "aaa/new"}, *_entries(upstream, door)]}
        door.ask("POST", "/api/models/refresh", door.headers)
        second = get(door, f"/api/models?limit=500&cursor={first['next_cursor']}")
        foreign = door.ask("GET", "/api/models?cursor=abc", door.headers)

    assert (first["total"], second["total"]) == (5, 6)
    assert len(ids(first) + ids(second)) == len({*ids(first), *ids(second)}) == 5
    assert foreign.status == 404


def _entries(upstream: FakeOpenRouter, door: Door) -> list[dict[str, Any]]:
    return [{"id": item["id"], "name": item["name"]} for item in get(door, "/api/models")["items"]]


def test_the_last_copy_serves_while_the_endpoint_is_away(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    with house(tmp_path, upstream) as door:
        before = get(door, "/api/models")
    upstream.is_away = True
    file = tmp_path / "data" / "cache" / "models" / "openrouter.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"read_at": "2026-01-01T00:00:00Z"}))
    with house(tmp_path, upstream) as door:
        after = get(door, "/api/models")
        refused = door.ask("POST", "/api/models/refresh", door.headers)
        told = get(door, "/api/models")["sources"][0]

    assert after["items"] == before["items"]
    assert (after["stale"], after["read_at"]) == (True, "2026-01-01T00:00:00Z")
    assert (refused.status, refused.json["code"]) == (502, "model_unavailable")
    assert "503" in told["problem"]


def test_without_any_list_the_page_is_an_error_and_not_empty(
    tmp_path: Path, upstream: FakeOpenRouter
) -> None:
    upstream.is_away = True
    with house(tmp_path, upstream) as door:
        answers = [
            door.ask("GET", path, door.headers) for path in ("/api/models", "/api/models/a/b")
        ]

    assert [(answer.status, answer.json["code"]) for answer in answers] == [
        (502, "model_unavailable")
    ] * 2


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/api/models/no/such", 404, None),
        ("/api/models?endpoint=nowhere", 404, None),
        ("/api/models?max_price=cheap", 422, "max_price"),
        ("/api/models?sort=beauty", 422, "sort"),
        ("/api/models?colour=blue", 422, "colour"),
        ("/api/models?limit=501", 422, "limit"),
    ],
)
def test_what_there_is_not_is_refused(
    tmp_path: Path, upstream: FakeOpenRouter, path: str, status: int, field: str | None
) -> None:
    with house(tmp_path, upstream) as door:
        answer = door.ask("GET", path, door.headers)

    assert answer.status == status
    if field:
        assert [error["field"] for error in answer.json["errors"]] == [field]


def test_only_the_owner_sees_models(tmp_path: Path, upstream: FakeOpenRouter) -> None:
    server = {"id": "housekeeping", "url": "http://127.0.0.1:9/mcp", "trust": "fleet"}
    (tmp_path / "data").mkdir()
    with whole_house(tmp_path, [server]) as door:
        nobody = door.ask("GET", "/api/models")
        helper = door.ask("GET", "/api/models", token_of(door, "housekeeping"))

    assert (nobody.status, helper.status) == (401, 403)
