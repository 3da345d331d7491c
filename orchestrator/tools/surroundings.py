"""What all connections share."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.domain.servers import ServerConfig
from orchestrator.tools.addresses import AddressRule
from orchestrator.tools.cache import ListCache
from orchestrator.tools.pins import ToolPins
from orchestrator.tools.records import ServerRecords


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all connections share."""

    token_for: Callable[[ServerConfig], str | None]
    ssl_context: ssl.SSLContext
    addresses: AddressRule
    """For servers of third parties."""
    pins: ToolPins
    cache: ListCache
    records: ServerRecords
    on_change: Callable[[str], None]
    """Called with the id of a server whose state or tools may have changed."""
