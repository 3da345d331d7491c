"""Where log lines go: to stderr, one line each, for every library alike."""

import logging
import sys
import time

_TELL_TOO_MUCH = (
    *("httpx2", "httpcore2", "urllib3", "google", "googleapiclient"),
    *("oauthlib", "requests_oauthlib", "fastmcp.server.mixins.mcp_operations"),
)
"""Write whole addresses, in which searches and names are, some of them tokens, or arguments."""
LINE = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"


def configure_logging(level: str) -> None:
    """Sends all log records at `level` or above to stderr (stdout belongs to stdio MCP)."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=level, format=LINE, datefmt="%Y-%m-%dT%H:%M:%S", stream=sys.stderr, force=True
    )
    # fastmcp writes through rich to its own console; its records belong here as well.
    logging.getLogger("fastmcp").handlers.clear()
    logging.getLogger("fastmcp").propagate = True
    for name in ("fastmcp", "mcp", "uvicorn"):
        logging.getLogger(name).setLevel("DEBUG" if level == "DEBUG" else "WARNING")
    for name in _TELL_TOO_MUCH:
        logging.getLogger(name).setLevel("WARNING")
