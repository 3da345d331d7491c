"""The only reader of Gmail's own environment; Google's is read in `kit/google/settings.py`."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """In which zone times are told."""

    model_config = SettingsConfigDict(
        env_prefix="GMAIL_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    zone: str = "UTC"
    """An IANA name."""

    @field_validator("zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA zone like Europe/Lisbon") from error
        return value
