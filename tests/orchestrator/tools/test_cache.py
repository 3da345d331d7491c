import json
from pathlib import Path

from orchestrator.tools.cache import CachedList, ListCache
from orchestrator.tools.definitions import ListedTool

URL = "http://127.0.0.1:1/mcp"
POLICY = {"labels": ["write"], "level": 2, "effect": "change"}


def listing() -> CachedList:
    tool = ListedTool(name="send", input_schema={"type": "object"}, policy=POLICY)
    return CachedList(url=URL, tools=(tool,))


async def test_a_list_is_read_back_with_its_policies(tmp_path: Path):
    cache = ListCache(tmp_path)
    await cache.write("mail", listing())
    assert cache.read("mail", URL) == listing()
    assert cache.read("mail", "http://127.0.0.1:2/mcp").tools == ()


async def test_a_list_from_before_there_were_policies_is_not_believed(tmp_path: Path):
    old = listing().model_dump() | {"version": 1}
    for tool in old["tools"]:
        del tool["policy"]
    (tmp_path / "mail.json").write_text(json.dumps(old))
    assert ListCache(tmp_path).read("mail", URL) == CachedList()
    assert [path.name for path in tmp_path.iterdir()] == ["mail.json"]
