"""The only reader of this server's own environment."""

from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator
from pydantic_settings import BaseSettings, SettingsConfigDict

from servers.google_calendar.times import zone_named
from servers.kit.errors import InvalidInput


def _zone(name: object) -> object:
    if not isinstance(name, str):
        return name
    try:
        return zone_named(name)
    except InvalidInput as error:
        raise ValueError(str(error)) from error


class Settings(BaseSettings):
    """In which zone the owner lives."""

    model_config = SettingsConfigDict(
        env_prefix="GOOGLE_CALENDAR_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    zone: Annotated[ZoneInfo | None, BeforeValidator(_zone)] = None
    """For times without a zone, and for results; that of the primary calendar when unset."""
