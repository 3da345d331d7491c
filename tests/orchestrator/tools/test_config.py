import pytest
from pydantic import ValidationError

from orchestrator.domain.servers import ServerConfig, ServersDocument


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


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "a/../../b", "a\\b", "a\0b"])
def test_a_token_file_outside_the_data_directory_is_refused(path: str):
    with pytest.raises(ValidationError):
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
