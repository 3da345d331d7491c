"""The only reader of what an owner sets for Google; three servers share the names."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from servers.kit.accounts.provider import NotConfigured

SETUP = "servers/kit/google/README.md shows how, step by step"

_Text = Annotated[str, Field(min_length=1, max_length=300)]


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """Who Flotilla is to Google: the client that the owner made in the Google Cloud console."""

    kind: Literal["installed", "web"]
    client_id: str
    client_secret: str = field(repr=False)


class GoogleSettings(BaseSettings):
    """The client id of the owner, and where Google is."""

    model_config = SettingsConfigDict(
        env_prefix="GOOGLE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    oauth_client_id: str | None = None
    oauth_client_secret: SecretStr | None = None
    oauth_client_file: Path | None = None
    """The JSON that the console lets one download; the pair above wins over it."""
    api_root: str | None = None
    """Instead of the `rootUrl` of each API, for a stand-in."""
    oauth_auth_uri: str = "https://accounts.google.com/o/oauth2/v2/auth"
    oauth_token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    oauth_revoke_uri: str = "https://oauth2.googleapis.com/revoke"
    userinfo_uri: str = "https://openidconnect.googleapis.com/v1/userinfo"

    @property
    def client(self) -> OAuthClient:
        """Raises NotConfigured, which says what to set."""
        if self.oauth_client_id is None and self.oauth_client_secret is None:
            return self._client_of_file()
        if self.oauth_client_id is None or self.oauth_client_secret is None:
            raise NotConfigured(
                "GOOGLE_OAUTH_CLIENT_ID and GOOGLE_OAUTH_CLIENT_SECRET belong together: one of them"
                f" is not set. {SETUP}."
            )
        secret = self.oauth_client_secret.get_secret_value()
        return OAuthClient("installed", self.oauth_client_id, secret)

    def _client_of_file(self) -> OAuthClient:
        path = self.oauth_client_file
        if path is None:
            raise NotConfigured(
                f"Google needs a client id of your own: {SETUP}. Then set GOOGLE_OAUTH_CLIENT_FILE"
                " to the file you downloaded, or GOOGLE_OAUTH_CLIENT_ID and"
                " GOOGLE_OAUTH_CLIENT_SECRET, in .env or where your client starts this server,"
                " and start it again."
            )
        try:
            found = _ClientFile.model_validate_json(path.read_bytes())
        except OSError as error:
            raise NotConfigured(
                f"GOOGLE_OAUTH_CLIENT_FILE names {path}, which cannot be read: {error.strerror}."
            ) from error
        except ValidationError as error:
            raise NotConfigured(
                f"{path} is not the file of an OAuth client of the type Desktop or Web; {SETUP}."
            ) from error
        if found.installed is not None:
            return found.installed.as_client("installed")
        if found.web is not None:
            return found.web.as_client("web")
        raise NotConfigured(
            f"{path} is not the file of an OAuth client of the type Desktop or Web; {SETUP}."
        )


class _FileClient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    client_id: _Text
    client_secret: _Text

    def as_client(self, kind: Literal["installed", "web"]) -> OAuthClient:
        return OAuthClient(kind, self.client_id, self.client_secret)


class _ClientFile(BaseModel):
    """The `client_secret_*.json` of the console, as far as it is read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    installed: _FileClient | None = None
    web: _FileClient | None = None
