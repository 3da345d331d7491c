"""The front end is built from the document the application gives."""

from tests.checks import openapi


def test_the_committed_openapi_document_is_the_applications():
    assert openapi.is_current(), "run `make docs`"
