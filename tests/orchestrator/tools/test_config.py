from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.domain.model_settings import ModelEndpoint
from orchestrator.domain.servers import ServerConfig, ServersDocument
from orchestrator.tools.failures import ExchangeFailed
from orchestrator.tools.tokens import ServerTokens


@pytest.mark.parametrize("server_id", ["", "Mail", "1mail", "a__b", "mail_", "x" * 33, "a b", "é"])
def test_an_id_that_would_confuse_qualified_names_is_refused(server_id: str):
    with pytest.raises(ValidationError):
        ServerConfig(id=server_id, url="http://127.0.0.1:1/mcp", trust="fleet")


@pytest.mark.parametrize(
    "url",
    ["", "mail", "ftp://host/x", "file:///etc/passwd", "http://", "http://me:secret@host/mcp"],
)
def test_an_address_that_is_not_plain_http_is_refused(url: str):
    with pytest.raises(ValidationError):
        ServerConfig(id="mail", url=url, trust="fleet")


@pytest.mark.parametrize(
    "url",
    [
        "http://host:99999/",
        "http://host:0/",
        "http://host:x/",
        "http://ho st/",
        "http://host/\r\nHost: other",
        "http://１２７.0.0.1/",
        "http://localhost%2e/",
        "http://-host/",
        f"http://{'a' * 64}.example/",
        "http://[::1",
        "http://[::1%25eth0]/",
    ],
)
def test_an_address_that_no_request_can_be_sent_to_is_refused(url: str):
    with pytest.raises(ValidationError):
        ServerConfig(id="mail", url=url)
    with pytest.raises(ValidationError):
        ModelEndpoint(base_url=url)


@pytest.mark.parametrize("host", ["mail", "a-b.example.", "x_y", "10.0.0.1", "[2001:db8::1]:9"])
def test_names_and_addresses_of_every_kind_may_be_used(host: str):
    assert ServerConfig(id="mail", url=f"https://{host}/mcp").url == f"https://{host}/mcp"


def test_no_server_takes_the_token_of_the_terminal():
    with pytest.raises(ValidationError, match="taken by the terminal"):
        ServerConfig(id="cli", url="http://127.0.0.1:1/mcp", token_file="tokens/cli", trust="fleet")


def test_tools_that_are_off_can_be_stored():
    for names in (["\ud800"], ["x" * 257], ["x"] * 1001, [""]):
        with pytest.raises(ValidationError):
            ServerConfig.model_validate(
                {"id": "mail", "url": "http://127.0.0.1:1/mcp", "disabled_tools": names}
            )


def test_a_secret_of_our_own_goes_to_no_server_that_was_configured_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-or-ours")
    by_hand = ServerConfig(id="x", url="https://x.example/", token_env="OPENROUTER_API_KEY")
    with pytest.raises(ExchangeFailed, match="OPENROUTER_API_KEY is Flotilla's own"):
        ServerTokens(tmp_path)(by_hand)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../secret",
        "a\\b",
        "a\0b",
        "tokens/cli",
        "tokens/mail.api",
        "grant_keys/mail",
    ],
)
def test_a_token_file_that_is_not_the_servers_own_is_refused(path: str):
    with pytest.raises(ValidationError, match="must be 'tokens/mail' or null"):
        ServerConfig(id="mail", url="http://127.0.0.1:1/mcp", token_file=path, trust="fleet")


def test_a_document_survives_json():
    server = ServerConfig(
        id="mail", url="http://127.0.0.1:1/mcp", disabled_tools=("wipe",), trust="fleet"
    )
    document = ServersDocument(servers=(server,))
    assert ServersDocument.model_validate_json(document.model_dump_json()) == document


def test_an_id_may_occur_once():
    server = ServerConfig(id="mail", url="http://127.0.0.1:1/mcp", trust="fleet")
    with pytest.raises(ValidationError, match="found again: mail"):
        ServersDocument(servers=(server, server))


def test_a_server_that_does_not_say_whose_it_is_belongs_to_strangers():
    assert ServerConfig(id="mail", url="http://127.0.0.1:1/mcp").trust == "third_party"
