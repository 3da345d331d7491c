"""Loads before forking what a running server loads anyway, so that all servers share its pages."""

from importlib import import_module

# What libraries import lazily on the way to the first answers, as `test_preload.py` finds it.
LAZY_MODULES = (
    "anyio._backends._asyncio",
    "concurrent.futures.thread",
    "encodings.ascii",
    "encodings.idna",
    "fastmcp.server.context",
    "fastmcp.server.providers.prefab_payload",
    "fastmcp.server.providers.prefab_synthesis",
    "fastmcp.server.sessions",
    "fastmcp.server.transforms.catalog",
    "key_value.aio.adapters.pydantic",
    "key_value.aio.stores.memory",
    "mcp.server.streamable_http",
    "servers.kit.paging",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
    "uvloop",
)


def preload() -> None:
    """Imports the modules that a server will need; costs a parent about 0.1 s."""
    for name in LAZY_MODULES:
        import_module(name)
