"""What a server of Google loads before anybody calls it: none of Google's libraries."""

import json
import subprocess
import sys

FAT = {"google", "googleapiclient", "google_auth_oauthlib", "httplib2", "oauthlib", "requests"}


def test_an_idle_server_has_none_of_googles_libraries() -> None:
    script = (
        "import json, sys; import servers.google_tasks.server as tasks;"
        " tasks.mcp.accounts.setup();"
        " print(json.dumps([name for name in sys.modules if '.' not in name]))"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout

    assert FAT & set(json.loads(loaded)) == set()
