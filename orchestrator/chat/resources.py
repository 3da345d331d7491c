"""What all turns of the process share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.approvals.grants import GrantKeys
from orchestrator.approvals.inbox import Inbox
from orchestrator.approvals.question_desk import QuestionDesk
from orchestrator.attachments.extraction import ExtractText
from orchestrator.attachments.uploads import Attachments
from orchestrator.chat.attached import AttachedFiles
from orchestrator.chat.budget import Budget, Caps
from orchestrator.chat.documents import Documents
from orchestrator.chat.keeping import FileKeeper
from orchestrator.chat.limits import TurnLimits
from orchestrator.chat.model_calls import ModelCalls
from orchestrator.chat.settling import Settler
from orchestrator.chat.tool_menu import ToolMenu
from orchestrator.domain.approvals import PolicyMode
from orchestrator.llm.endpoints import ModelEndpoints
from orchestrator.store.database import Database
from orchestrator.store.in_force import SettingsLayer
from orchestrator.tools.aggregator import MCPToolAggregator


@dataclass(frozen=True, slots=True)
class ChatSettings:
    """What the chat needs to know of the settings; money in micro-dollars."""

    model_layers: Callable[[], tuple[SettingsLayer, ...]]
    """Returns what the environment and the document say at the moment, the strongest first."""
    timezone: str
    limits: TurnLimits
    caps: Caps = field(default_factory=Caps)
    policy: PolicyMode = "ask"
    approval_lifetime_h: float = 72.0


@dataclass(frozen=True, slots=True)
class Resources:
    """The rooms and the ledgers that a turn works with."""

    settings: ChatSettings
    database: Database
    llm: ModelEndpoints
    aggregator: MCPToolAggregator
    menu: ToolMenu
    inbox: Inbox
    questions: QuestionDesk
    grants: GrantKeys
    budget: Budget
    calls: ModelCalls
    settler: Settler
    attached: AttachedFiles
    keeper: FileKeeper


def gathered(
    settings: ChatSettings,
    data_dir: Path,
    database: Database,
    llm: ModelEndpoints,
    aggregator: MCPToolAggregator,
    inbox: Inbox,
    grants: GrantKeys,
    files: Attachments,
) -> Resources:
    """Return the resources; documents pass through nameless files in `data_dir`."""
    documents = Documents(files, ExtractText(data_dir))
    budget = Budget(database, settings.caps)
    settler = Settler(database, budget, llm.generation_cost)
    return Resources(
        settings=settings,
        database=database,
        llm=llm,
        aggregator=aggregator,
        menu=ToolMenu(aggregator),
        inbox=inbox,
        questions=QuestionDesk(database, aggregator.accounts.read),
        grants=grants,
        budget=budget,
        calls=ModelCalls(llm, budget, database, settler),
        settler=settler,
        attached=AttachedFiles(files, documents, llm, database),
        keeper=FileKeeper(files, database, aggregator),
    )
