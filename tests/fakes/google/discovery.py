"""What Google's API documents say: which address is which method, and what may be sent to it.

The documents are the ones that come with google-api-python-client, so the fake knows no field that
Google does not know, and refuses what Google would refuse.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import googleapiclient
from dateutil import parser as dates

from tests.fakes.google.refusals import Refused, bad_value, invalid, unknown_name

APIS = ("gmail.v1", "calendar.v3", "tasks.v1")
_DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
_NUMBER_BOUNDS = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}
Upload = Literal["none", "simple", "resumable"]


@dataclass(frozen=True)
class Method:
    """One method of an API, as its document describes it."""

    id: str
    http_method: str
    segments: tuple[str, ...]
    parameters: dict[str, Any]
    request: str | None
    response: str | None
    scopes: frozenset[str]
    api: str
    upload: Upload = "none"
    max_upload_bytes: int = 0

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return what the path names, still quoted segments given; None for another path."""
        if len(segments) != len(self.segments):
            return None
        named: dict[str, str] = {}
        for template, segment in zip(self.segments, segments, strict=True):
            match = _pattern(template).fullmatch(unquote(segment))
            if match is None:
                return None
            named |= match.groupdict()
        return named


@cache
def _pattern(template: str) -> re.Pattern[str]:
    pieces = re.split(r"\{\+?(\w+)\}", template)
    quoted = [f"(?P<{p}>.+)" if i % 2 else re.escape(p) for i, p in enumerate(pieces)]
    return re.compile("".join(quoted), re.DOTALL)


@cache
def document(api: str) -> dict[str, Any]:
    """Return the document of an API, as `gmail.v1`; it is shared, so do not change it."""
    return json.loads((_DOCUMENTS / f"{api}.json").read_text(encoding="utf-8"))


@cache
def methods() -> tuple[Method, ...]:
    """Return all methods of all APIs, those with fewer names in their path first."""
    found = [m for api in APIS for m in _methods_of(api, document(api))]
    return tuple(sorted(found, key=lambda m: sum("{" in s for s in m.segments)))


def _methods_of(api: str, part: dict[str, Any]) -> list[Method]:
    found: list[Method] = []
    for resource in part.get("resources", {}).values():
        found += _methods_of(api, resource)
        for entry in resource.get("methods", {}).values():
            found.append(_method(api, entry, document(api)["servicePath"] + entry["path"]))
            media = entry.get("mediaUpload", {})
            for upload, protocol in media.get("protocols", {}).items():
                size = int(media.get("maxSize", 0))
                found.append(_method(api, entry, protocol["path"].lstrip("/"), upload, size))
    return found


def _method(
    api: str, entry: dict[str, Any], path: str, upload: Upload = "none", size: int = 0
) -> Method:
    return Method(
        id=entry["id"],
        http_method=entry["httpMethod"],
        segments=tuple(path.split("/")),
        parameters={**document(api)["parameters"], **entry.get("parameters", {})},
        request=entry.get("request", {}).get("$ref"),
        response=entry.get("response", {}).get("$ref"),
        scopes=frozenset(entry.get("scopes", ())),
        api=api,
        upload=upload,
        max_upload_bytes=size,
    )


def find_method(http_method: str, raw_path: str) -> tuple[Method, dict[str, str]]:
    """Return the method at an address and what its path names. Raises Refused."""
    segments = raw_path.lstrip("/").split("/")
    for method in methods():
        if method.http_method == http_method:
            named = method.match(segments)
            if named is not None:
                return method, named
    raise Refused(404, "Not Found")


def read_parameters(method: Method, named: dict[str, str], query: str) -> dict[str, Any]:
    """Return all parameters by name, converted, defaults filled in. Raises Refused."""
    given: dict[str, list[str]] = {name: [value] for name, value in named.items()}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="strict"):
        if method.parameters.get(name, {}).get("location") != "query":
            raise unknown_name(name, "")
        given.setdefault(name, []).append(value)
    read: dict[str, Any] = {}
    for name, schema in method.parameters.items():
        values = [_parameter(name, value, schema) for value in given.get(name, [])]
        if schema.get("repeated"):
            read[name] = values
        elif len(values) > 1:
            raise invalid(f"Invalid value for {name}: given more than once")
        elif values:
            read[name] = values[0]
        elif schema.get("required"):
            raise Refused(400, f"Missing required parameter: {name}", "required")
        elif "default" in schema:
            read[name] = _parameter(name, schema["default"], schema)
    return read


def _parameter(name: str, text: str, schema: dict[str, Any]) -> Any:
    kind = schema["type"]
    if kind == "boolean":
        if text not in ("true", "false"):
            raise bad_value(name, text, "TYPE_BOOL")
        return text == "true"
    if kind == "integer":
        if not re.fullmatch(r"-?\d+", text):
            raise bad_value(name, text, "TYPE_INT32")
        _check_bounds(name, int(text), schema)
        return int(text)
    _check_text(name, text, schema)
    return text


def _check_bounds(name: str, number: int, schema: dict[str, Any]) -> None:
    least, most = _NUMBER_BOUNDS.get(schema.get("format", ""), (-(2**63), 2**63 - 1))
    least = max(least, int(schema.get("minimum", least)))
    most = min(most, int(schema.get("maximum", most)))
    if not least <= number <= most:
        raise Refused(
            400,
            f"Invalid value '{number}'. Values must be within the range: [{least}, {most}]",
            "invalidParameter",
            place={"locationType": "parameter", "location": name},
        )


def _check_text(name: str, text: str, schema: dict[str, Any]) -> None:
    if "enum" in schema and text not in schema["enum"]:
        raise bad_value(name, text, "TYPE_ENUM")
    if "pattern" in schema and not re.fullmatch(schema["pattern"], text):
        raise bad_value(name, text, "TYPE_STRING")
    if schema.get("format") in ("int64", "uint64") and schema["type"] == "string":
        if not re.fullmatch(r"-?\d+", text):
            raise bad_value(name, text, "TYPE_INT64")
        _check_bounds(name, int(text), schema)
    elif schema.get("format") == "date-time" and schema.get("location") == "query":
        read_time(name, text)
    elif schema.get("format") == "byte":
        read_bytes(name, text)


def read_time(name: str, text: str) -> Any:
    """Return a time with its offset from RFC 3339. Raises Refused."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", text):
        raise bad_value(name, text, "type.googleapis.com/google.protobuf.Timestamp")
    try:
        return dates.isoparse(text)
    except ValueError:
        raise bad_value(name, text, "type.googleapis.com/google.protobuf.Timestamp") from None


def read_bytes(name: str, text: str) -> bytes:
    """Return what is written in base64 for addresses, padded or not. Raises Refused."""
    try:
        padded = text + "=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise bad_value(name, text[:20], "TYPE_BYTES") from None


def read_body(method: Method, raw: bytes) -> dict[str, Any]:
    """Return a body without what only Google may write. Raises Refused."""
    if method.request is None:
        if raw.strip() not in (b"", b"{}"):
            raise unknown_name("body", "")
        return {}
    try:
        body = json.loads(raw or b"{}")
    except ValueError:
        raise Refused(400, "Invalid JSON payload received. Parse Error", "parseError") from None
    return _Reader(method.api).read("", body, {"$ref": method.request})


def check_answer(method: Method, answer: Any) -> None:
    """Raise if the fake answers what the API's document does not describe."""
    schema = {"$ref": method.response} if method.response else {"type": "object"}
    try:
        _Reader(method.api, keeps_read_only=True).read("", answer, schema)
    except Refused as wrong:
        raise AssertionError(f"the fake's answer to {method.id}: {wrong.message}") from wrong


class _Reader:
    """Reads JSON against the schemas of one API."""

    def __init__(self, api: str, *, keeps_read_only: bool = False) -> None:
        self._schemas: dict[str, Any] = document(api)["schemas"]
        self._keeps_read_only = keeps_read_only

    def read(self, place: str, value: Any, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"]]
        kind = schema.get("type", "any")
        if kind == "any" or value is None:
            return value
        if kind == "object":
            return self._object(place, value, schema)
        if kind == "array":
            if not isinstance(value, list):
                raise bad_value(place, value, "repeated field")
            items = schema["items"]
            return [self.read(f"{place}[{i}]", item, items) for i, item in enumerate(value)]
        return _scalar(place, value, schema)

    def _object(self, place: str, value: Any, schema: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise bad_value(place, value, "message")
        properties = schema.get("properties", {})
        other = schema.get("additionalProperties")
        read: dict[str, Any] = {}
        for name, content in value.items():
            part = properties.get(name, other)
            if part is None:
                raise unknown_name(name, f" at '{place}'" if place else "")
            # Google ignores what is read-only: whole resources may be sent back.
            if self._keeps_read_only or not part.get("readOnly"):
                read[name] = self.read(f"{place}.{name}".lstrip("."), content, part)
        return read


def _scalar(place: str, value: Any, schema: dict[str, Any]) -> Any:
    kind = schema["type"]
    if kind == "boolean":
        if not isinstance(value, bool):
            raise bad_value(place, value, "TYPE_BOOL")
    elif kind in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(
            value, int if kind == "integer" else float | int
        ):
            raise bad_value(place, value, "TYPE_INT32" if kind == "integer" else "TYPE_DOUBLE")
        if kind == "integer":
            _check_bounds(place, value, schema)
    else:
        if not isinstance(value, str):
            raise bad_value(place, value, "TYPE_STRING")
        _check_text(place, value, schema)
    return value
