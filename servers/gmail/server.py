"""Gmail's tools; each module here adds some to the server."""

from servers.gmail import draft_tools, label_tools, mail_tools
from servers.gmail.opening import mcp

__all__ = ["draft_tools", "label_tools", "mail_tools", "mcp"]
