"""The only reader of the kit's environment."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class KitSettings(BaseSettings):
    """What an operator can say to every server of the fleet."""

    model_config = SettingsConfigDict(
        env_prefix="FLOTILLA_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data_dir: Path = Path("data")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    server_host: str = "127.0.0.1"
    server_port: int | None = Field(default=None, ge=0, le=65535)
    server_token: SecretStr | None = Field(default=None, min_length=43)
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    allow_remote_bind: bool = False
    owner: str = Field(default="owner", min_length=1, max_length=100)
    orchestrator_url: str = "http://127.0.0.1:8000"
    vault_key_file: Path | None = None
    config_home: Path | None = Field(default=None, validation_alias="XDG_CONFIG_HOME")
    turn_max_sends: int = Field(default=5, ge=0)
    turn_max_deletes: int = Field(default=10, ge=0)
    turn_max_shares: int = Field(default=5, ge=0)
    day_max_sends: int = Field(default=50, ge=0)
    day_max_deletes: int = Field(default=100, ge=0)
    day_max_shares: int = Field(default=20, ge=0)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(host.strip().lower() for host in value.split(",") if host.strip())
        return value


class SystemdSettings(BaseSettings):
    """What systemd tells a unit it starts (sd_notify(3), sd_listen_fds(3), systemd.exec(5))."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    notify_socket: str | None = None
    watchdog_usec: int | None = None
    watchdog_pid: int | None = None
    listen_fds: int = 0
    listen_pid: int | None = None
    credentials_directory: Path | None = None


class DesktopSettings(BaseSettings):
    """What says that a browser can be opened here (webbrowser, X11, Wayland)."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    browser: str | None = None
    display: str | None = None
    wayland_display: str | None = None
