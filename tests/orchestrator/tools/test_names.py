import re

from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.tools.names import MAX_LENGTH, qualified_name

SERVER_IDS = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True).filter(
    lambda text: "__" not in text and not text.endswith("_")
)
ODD_NAMES = st.text(max_size=200)
PLAIN_NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,80}", fullmatch=True)
TOOL_NAMES = ODD_NAMES | PLAIN_NAMES


def test_a_plain_name_is_joined_with_two_underscores():
    assert qualified_name("gmail", "search-mail_2") == "gmail__search-mail_2"


def test_a_long_name_is_cut_and_ends_in_a_stable_hash():
    name = qualified_name("gmail", "a" * 100)
    assert name == qualified_name("gmail", "a" * 100)
    assert len(name) == MAX_LENGTH
    assert name.startswith("gmail__aaaa")


@given(SERVER_IDS, TOOL_NAMES)
def test_every_name_is_accepted_by_model_apis_and_keeps_its_server(server: str, tool: str):
    name = qualified_name(server, tool)
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name)
    assert name.partition("__")[0] == server


@given(SERVER_IDS, TOOL_NAMES, SERVER_IDS, TOOL_NAMES)
def test_two_tools_never_share_a_name(server: str, tool: str, other_server: str, other: str):
    assume((server, tool) != (other_server, other))
    assert qualified_name(server, tool) != qualified_name(other_server, other)


@given(SERVER_IDS, TOOL_NAMES)
def test_a_tool_named_like_the_hashed_form_of_another_gets_a_name_of_its_own(
    server: str, tool: str
):
    name = qualified_name(server, tool)
    impostor = name.partition("__")[2]
    assume(impostor != tool)
    assert qualified_name(server, impostor) != name
