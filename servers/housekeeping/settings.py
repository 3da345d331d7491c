"""The only reader of housekeeping's environment."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the orchestrator is, and in which zone the owner lives."""

    model_config = SettingsConfigDict(
        env_prefix="HOUSEKEEPING_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    orchestrator_url: str = "http://127.0.0.1:8000"
    api_token: SecretStr | None = None
    api_token_file: Path | None = None
    """Where the orchestrator leaves the token; `<data_dir>/tokens/housekeeping.api` when unset."""
    zone: str = "UTC"
    data_dir: Path = Field(default=Path("data"), validation_alias="FLOTILLA_DATA_DIR")

    @property
    def token_path(self) -> Path:
        return self.api_token_file or self.data_dir / "tokens" / "housekeeping.api"
