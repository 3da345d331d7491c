"""The tables that stand between `generated` marks in the READMEs."""

import asyncio
import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic_settings import BaseSettings

from orchestrator.cli.env_example import example_env
from orchestrator.errors import FlotillaError
from orchestrator.settings import Settings, variable_of
from orchestrator.store.schema import metadata
from servers.kit.manifest import all_manifests, load_manifest
from servers.kit.settings import KitSettings
from tests.checks import openapi
from tests.processes import ROOT

LEVELS = ("no", "tells you", "yes", "each time")
DECISIONS = ROOT / "orchestrator" / "decisions"


def settings() -> str:
    """Every setting of the orchestrator."""
    defaults = dict(re.findall(r"^# ([A-Z_]+)=(.+)$", example_env(), re.MULTILINE))
    fields = {variable_of(name): field for name, field in Settings.model_fields.items()}
    return table(
        ("Variable", "Default", "Meaning"),
        (
            (f"`{name}`", f"`{defaults[name]}`" if name in defaults else "", field.description)
            for name, field in fields.items()
        ),
    )


def routes() -> str:
    """Every HTTP route."""
    rows = ((method, f"`{path}`", summary) for method, path, summary in openapi.routes())
    return table(("Method", "Path", ""), rows)


def errors() -> str:
    """Every error with its stable code."""
    return table(
        ("Error", "`code`", "Status", "Retry", "When"),
        (
            (f"`{e.__name__}`", f"`{e.code}`", e.status, "yes" if e.retryable else "no", first(e))
            for e in error_classes()
        ),
    )


def tables() -> str:
    """Every table of the database."""
    return table(
        ("Table", "Columns"),
        (
            (f"`{entry.name}`", ", ".join(f"`{column.name}`" for column in entry.columns))
            for entry in metadata.sorted_tables
        ),
    )


def decisions() -> str:
    """The index of decision notes."""
    return table(
        ("No.", "Decision"),
        (
            (path.name[:4], f"[{title(path)}](decisions/{path.name})")
            for path in sorted(DECISIONS.glob("[0-9]*.md"))
        ),
    )


def servers() -> str:
    """The fleet."""
    return table(
        ("Server", "Port", "Tier", "Tools", ""),
        (
            (
                f"[{m.name}]({m.name}/README.md)",
                m.port,
                m.tier,
                ", ".join(f"`{tool}`" for tool in m.tools),
                m.description,
            )
            for m in all_manifests()
        ),
    )


def tools(server: str) -> str:
    """The tools of one server, in the words that a model reads."""
    listed = asyncio.run(importlib.import_module(f"servers.{server}.server").mcp.list_tools())
    said = {tool.name: tool.description.partition("\n")[0] for tool in listed}
    return table(
        ("Tool", "What it does", "Asks you", "Undo", "Permission"),
        (
            (f"`{name}`", said[name], LEVELS[tool.level], tool.undo and "yes", tool.capability)
            for name, tool in load_manifest(server).tools.items()
        ),
    )


def kit_settings() -> str:
    """What every server reads from the environment."""
    return table(
        ("Variable", "Default"),
        ((f"`{name}`", _shown(KitSettings, name)) for name in variables_of(KitSettings)),
    )


def make() -> str:
    """The targets of the Makefile."""
    return table(
        ("Command", ""), ((f"`make {name}`", text) for name, text in make_targets().items())
    )


BUILDERS: dict[str, Callable[..., str]] = {
    "settings": settings,
    "routes": routes,
    "errors": errors,
    "tables": tables,
    "decisions": decisions,
    "servers": servers,
    "tools": tools,
    "kit-settings": kit_settings,
    "make": make,
}


def error_classes(base: type[FlotillaError] = FlotillaError) -> Iterator[type[FlotillaError]]:
    """`base` and everything below it, in the order of the file."""
    yield base
    for child in base.__subclasses__():
        yield from error_classes(child)


def make_targets() -> dict[str, str]:
    """Name and explanation of every target."""
    return dict(re.findall(r"^([a-z-]+):.*## (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


def server_settings(server: str) -> list[type[BaseSettings]]:
    """The settings classes of one server."""
    if not (ROOT / "servers" / server / "settings.py").exists():
        return []
    module = importlib.import_module(f"servers.{server}.settings")
    classes = (entry for _, entry in inspect.getmembers(module, inspect.isclass))
    own = (entry for entry in classes if entry.__module__ == module.__name__)
    return [entry for entry in own if issubclass(entry, BaseSettings)]


def variables_of(settings_class: type[BaseSettings]) -> list[str]:
    """The environment names of a server's settings class."""
    prefix = settings_class.model_config.get("env_prefix", "")
    return [
        str(field.validation_alias or field.alias or prefix + name).upper()
        for name, field in settings_class.model_fields.items()
    ]


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    titles = list(head)
    lines = [titles, ["--"] * len(titles), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def first(thing: object) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def title(path: Path) -> str:
    """The first heading of a Markdown file, without the number of a decision."""
    found = re.search(r"^# (?:\d+[.:]? *)?(.+)$", path.read_text(), re.MULTILINE)
    return found[1] if found else path.stem


def _cell(value: object) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _shown(settings_class: type[BaseSettings], variable: str) -> str:
    fields = settings_class.model_fields.values()
    default = dict(zip(variables_of(settings_class), fields, strict=True))[variable].default
    return "" if default in (None, ()) else f"`{default}`"
