"""Which checks there are, in the order of the table."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from orchestrator.cli.doctor import configuration
from orchestrator.cli.doctor.accounts import accounts
from orchestrator.cli.doctor.configuration import configured
from orchestrator.cli.doctor.examination import Examination, examine
from orchestrator.cli.doctor.files import stored_files
from orchestrator.cli.doctor.finding import Check, Finding
from orchestrator.cli.doctor.folders import folder
from orchestrator.cli.doctor.keys import Secrets, key_files
from orchestrator.cli.doctor.machine import clock, versions
from orchestrator.cli.doctor.models import model_endpoints
from orchestrator.cli.doctor.page import front_end
from orchestrator.cli.doctor.running import Running
from orchestrator.cli.doctor.servers import ServerCheck
from orchestrator.cli.doctor.stored import database, documents, unsaved_text
from orchestrator.settings import ENV_FILE, Settings
from orchestrator.store.document_folder import DocumentFolder

BUDGET_S = 8.0


def diagnosis(env_file: Path = ENV_FILE) -> Examination:
    """Examine everything, with the settings in force; changes nothing."""
    settings, found = configured(env_file)
    return examine(_checks(settings, found), budget_s=BUDGET_S)


def _checks(settings: Settings, found: list[Finding]) -> Mapping[str, Check]:
    data_dir = settings.data_dir
    contents, unreadable = DocumentFolder(data_dir).glance()
    running, secrets = Running(settings), Secrets(settings)
    servers = {
        f"server {server.id}": ServerCheck(server, settings, running, secrets)
        for server in contents.mcp_servers.servers
    }
    return {
        "python": versions,
        configuration.SUBJECT: lambda: found,
        "clock": partial(clock, settings),
        "data": partial(folder, "data", data_dir),
        "logs": partial(folder, "logs", settings.logs_dir),
        "database": partial(database, settings),
        "documents": partial(documents, data_dir, unreadable, running),
        "answers": partial(unsaved_text, data_dir, running),
        "vault": secrets.look,
        "keys": partial(key_files, data_dir),
        "files": partial(stored_files, settings),
        "page": partial(front_end, settings),
        "orchestrator": running.look,
        "models": partial(model_endpoints, settings, contents.model_settings, secrets),
        **servers,
        "accounts": partial(accounts, settings, running),
    }
