"""Settings of the orchestrator, from the environment and `.env`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

from orchestrator.domain.approvals import PolicyMode

CHECKOUT = Path(__file__).resolve().parent.parent
ENV_FILE = Path(".env")

FLEET_VARIABLES = frozenset(
    f"FLOTILLA_{name}"
    for name in (
        *("SERVER_HOST", "SERVER_PORT", "SERVER_TOKEN", "ALLOWED_HOSTS", "ALLOW_REMOTE_BIND"),
        *("OWNER", "ORCHESTRATOR_URL"),
        *("TURN_MAX_SENDS", "TURN_MAX_DELETES", "TURN_MAX_SHARES"),
        *("DAY_MAX_SENDS", "DAY_MAX_DELETES", "DAY_MAX_SHARES"),
    )
)
"""What the servers of the fleet read from the same file."""

_BARE = (  # beginnings of fields whose variables have no FLOTILLA_ in front
    *("openrouter_", "turn_", "day_", "month_", "max_message_", "notify_"),
    *("attachments_", "gcs_", "gcp_", "storage_"),
)
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Layer = Literal["environment", ".env", "default"]
TextList = Annotated[tuple[str, ...], NoDecode]
"""Written as text with commas between the entries."""


class InvalidSettings(ValueError):
    """One or more settings have a wrong value; the text has one sentence for each."""


def variable_of(field: str) -> str:
    """Return the name a field has in the environment: `port` is `FLOTILLA_PORT`."""
    return field.upper() if field.startswith(_BARE) else f"FLOTILLA_{field.upper()}"


def _system_timezone() -> str:
    if name := os.environ.get("TZ", "").lstrip(":"):
        return name
    _, _, zone = str(Path("/etc/localtime").resolve()).partition("/zoneinfo/")
    return zone or "UTC"


class Settings(BaseSettings):
    """Everything the owner may set; see `.env.example`, which is generated from this class."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=variable_of,
        populate_by_name=True,
        env_ignore_empty=True,
        env_file=None,
    )

    data_dir: Path = Field(
        Path("data"), description="Folder of the database, the JSON documents and the tokens."
    )
    logs_dir: Path = Field(Path("logs"), description="Folder of the log files.")
    host: str = Field(
        "127.0.0.1",
        description="Address to listen on. Anything but loopback needs an https entry in "
        "FLOTILLA_PUBLIC_ORIGINS or FLOTILLA_ALLOW_PLAIN_HTTP.",
    )
    port: int = Field(8000, ge=1, le=65535, description="Port of the orchestrator.")
    public_origins: TextList = Field(
        (),
        description="Origins under which browsers reach the orchestrator through a proxy, "
        "with commas between them, e.g. https://flotilla.example.org.",
    )
    allow_plain_http: bool = Field(
        False, description="Allow a bind that is not loopback without https. Cookies can be read."
    )
    log_level: LogLevel = Field("INFO", description="DEBUG, INFO, WARNING or ERROR.")
    frontend_dir: Path = Field(
        CHECKOUT / "frontend" / "dist", description="Folder of the built front end."
    )
    timezone: str = Field(
        default_factory=_system_timezone,
        description="The owner's time zone, e.g. Europe/Lisbon. Default: the system's.",
    )
    openrouter_api_key: SecretStr | None = Field(
        None, description="Key of OpenRouter. Without one, the practice model answers."
    )
    openrouter_base_url: str = Field(
        "https://openrouter.ai/api/v1", description="Base URL of OpenRouter or a compatible API."
    )
    openrouter_default_model: str = Field(
        "openrouter/auto", description="Model of a turn that names none."
    )
    openrouter_fallback_models: TextList = Field(
        (), description="Models to try next, in this order, with commas between them."
    )
    openrouter_system_prompt: str = Field(
        "", description="The owner's own text at the head of every system prompt."
    )
    turn_max_rounds: int = Field(12, ge=1, description="Rounds after which a turn ends.")
    turn_max_tool_calls: int = Field(25, ge=0, description="Tool calls one turn may make.")
    turn_max_tool_errors: int = Field(6, ge=1, description="Failed tool calls that end a turn.")
    turn_max_identical_calls: int = Field(
        3, ge=1, description="Identical tool calls in a row that end a turn."
    )
    turn_max_duration_s: float = Field(600, gt=0, description="Seconds one turn may take.")
    turn_max_cost_microusd: int = Field(
        1_000_000, ge=0, description="Cost at which a turn ends, in millionths of a US dollar."
    )
    day_max_cost_microusd: int = Field(
        10_000_000, ge=0, description="Cost of all turns of a day, in millionths of a US dollar."
    )
    month_max_cost_microusd: int = Field(
        100_000_000, ge=0, description="Cost of all requests of 30 days, in the same unit."
    )
    approval_policy: PolicyMode = Field(
        "ask",
        description="ask, or quarantine: after a turn has read foreign text, no tool runs in it.",
    )
    approval_lifetime_h: float = Field(  # Servers remember for 7 days; later one might run twice.
        72, gt=0, le=144, description="Hours after which an approval that nobody decided expires."
    )
    attachments_max_size_bytes: int = Field(
        25 * 1024 * 1024, ge=1, description="Largest file that can be attached, in bytes."
    )
    attachments_retention_days: int = Field(
        30, ge=0, description="Days after its last use at which a file is deleted; 0 keeps it."
    )
    attachments_url_life_s: int = Field(
        3600, ge=60, le=86_400, description="Seconds for which the address of a file is good."
    )
    gcs_bucket_name: str | None = Field(
        None, description="Bucket of Google Cloud Storage for files. Default: a folder in data/."
    )
    gcp_project_id: str | None = Field(None, description="Project of the bucket.")
    storage_emulator_host: str | None = Field(
        None, description="Address of a Google Cloud Storage emulator, e.g. http://127.0.0.1:9023."
    )
    private_server_hosts: TextList = Field(
        (),
        description="Hosts in your own network that servers of others may be on, with commas "
        "between them, e.g. nas.local,192.168.1.20.",
    )
    vault_key_file: Path | None = Field(
        None,
        description="Key that encrypts stored secrets. Default: flotilla/vault.key in your "
        "configuration folder, outside the data.",
    )
    max_message_chars: int = Field(
        200_000, ge=1, description="Longest message a person may send, in characters."
    )
    notify_socket: str | None = Field(
        None,
        description="Socket that is told of readiness; systemd and `flotilla up` set it.",
    )

    @property
    def address(self) -> str:
        """Where a browser of the owner finds the orchestrator."""
        return next(iter(self.public_origins), f"http://127.0.0.1:{self.port}")

    @property
    def vault_key_path(self) -> Path:
        """Where the key of the vault is: given by systemd, as set, or in the configuration."""
        given = os.environ.get("CREDENTIALS_DIRECTORY")
        if given and (path := Path(given, "vault_key")).is_file():
            return path
        home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return self.vault_key_file or Path(home, "flotilla", "vault.key")

    @field_validator(
        "public_origins", "openrouter_fallback_models", "private_server_hosts", mode="before"
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    @field_validator("public_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_origin(text) for text in value)

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("write an IANA zone such as Europe/Lisbon") from error
        return value

    @field_validator("openrouter_base_url")
    @classmethod
    def _is_a_base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write a URL that begins with https:// or http://")
        return value.rstrip("/")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value


def _origin(text: str) -> str:
    parts = urlsplit(text.lower())
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError(f"{text!r} is not an origin such as https://flotilla.example.org")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"{text!r} has more than scheme, host and port")
    default_port = ":443" if parts.scheme == "https" else ":80"
    return f"{parts.scheme}://{parts.netloc.removesuffix(default_port)}"


def load_settings(env_file: Path = ENV_FILE) -> Settings:
    """Return the settings in force. Raises InvalidSettings with one sentence per wrong value."""
    try:
        return _read(env_file)
    except ValidationError as error:
        raise InvalidSettings("\n".join(_sentences(error))) from error


def mended_settings(env_file: Path | None = ENV_FILE) -> tuple[Settings, list[str]]:
    """Return the settings with defaults for wrong values, and a sentence for each of those."""
    try:
        return _read(env_file), []
    except ValidationError as error:
        wrong = {_variable_at(problem["loc"]) for problem in error.errors()}
        defaults = {
            variable_of(name): field.get_default(call_default_factory=True)
            for name, field in Settings.model_fields.items()
            if variable_of(name) in wrong
        }
        if "FLOTILLA_TIMEZONE" in wrong:  # The system's may be what is wrong.
            defaults["FLOTILLA_TIMEZONE"] = "UTC"
        return _read(env_file, **defaults), _sentences(error)


def _read(env_file: Path | None, **fixed: Any) -> Settings:
    return Settings(_env_file=env_file, **fixed)  # pyright: ignore[reportCallIssue] - of BaseSettings


def _sentences(error: ValidationError) -> list[str]:
    return [_sentence(problem["loc"], problem["msg"]) for problem in error.errors()]


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    reason = message.removeprefix("Value error, ")
    return f"{_variable_at(location)} has a wrong value: {reason[:1].lower()}{reason[1:]}."


def _variable_at(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "A setting"
    field = name.lower()
    return variable_of(field) if field in Settings.model_fields else name


def unknown_variables(env_file: Path = ENV_FILE) -> list[str]:
    """Return the FLOTILLA_ names in `.env` that mean nothing: most often a slip of the pen."""
    names = _file_values(env_file)
    mistaken = {name for name in names if name.startswith("FLOTILLA_")} - _OWN_VARIABLES
    return sorted(mistaken)


_OWN_VARIABLES = FLEET_VARIABLES.union(map(variable_of, Settings.model_fields))


def layer_of(variable: str, env_file: Path = ENV_FILE) -> Layer:
    """Return which layer gives a setting its value."""
    if os.environ.get(variable):
        return "environment"
    return ".env" if _file_values(env_file).get(variable) else "default"


def _file_values(env_file: Path) -> Mapping[str, str | None]:
    return DotEnvSettingsSource(Settings, env_file=env_file, case_sensitive=True).env_vars


def is_own_variable(name: str) -> bool:
    """Return whether a variable is one of ours: its value is never shown to anybody else."""
    return name.startswith("FLOTILLA_") or name in _OWN_VARIABLES
