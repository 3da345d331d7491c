"""What all turns of the process share."""

from dataclasses import dataclass

from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import Inbox
from orchestrator.chat.day_spending import DaySpending
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.tool_menu import ToolMenu
from orchestrator.domain.approvals import PolicyMode
from orchestrator.llm.openrouter import OpenRouterClient
from orchestrator.store.database import Database
from orchestrator.tools.aggregator import MCPToolAggregator


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat needs to know of the settings; money in micro-dollars."""

    model: str
    fallback_models: tuple[str, ...]
    system_prompt: str | None
    timezone: str
    limits: TurnLimits
    day_max_cost_microusd: int = 10_000_000
    policy: PolicyMode = "ask"
    approval_lifetime_h: float = 72.0


@dataclass(frozen=True, slots=True)
class Resources:
    """The rooms and the ledgers that a turn works with."""

    settings: ChatSettings
    database: Database
    llm: OpenRouterClient
    aggregator: MCPToolAggregator
    menu: ToolMenu
    inbox: Inbox
    grants: GrantKeys
    day: DaySpending
