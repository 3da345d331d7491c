"""A page of another origin, open in the browser of an owner who is signed in."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from playwright.sync_api import Browser, StorageState

from tests.installation import Installation

pytestmark = pytest.mark.browser

ATTACK = """
<!doctype html><title>attacker</title>
<form id="form" method="post" enctype="text/plain" target="frame" action="TARGET/api/chat/stream">
<input name='{"message":"by form","x":"' value='"}'></form>
<iframe name="frame"></iframe><iframe src="TARGET/"></iframe>
<script>
const target = "TARGET", seen = [];
const json = {"content-type": "application/json"}, body = JSON.stringify({message: "by fetch"});
const tries = [
  fetch(target + "/api/sessions", {credentials: "include"}).then(r => r.text()),
  fetch(target + "/api/chat/stream", {method: "POST", credentials: "include", headers: json, body})
    .then(r => r.text()),
  fetch(target + "/api/chat/stream", {method: "POST", credentials: "include", mode: "no-cors",
    body})
    .then(r => r.text()),
  new Promise((yes, no) => {
    const source = new EventSource(target + "/api/sessions", {withCredentials: true});
    source.onmessage = e => yes(e.data); source.onerror = () => { source.close(); no("refused"); };
  }),
  new Promise((yes, no) => {
    const socket = new WebSocket(target.replace("http", "ws") + "/api/stt/stream");
    socket.onopen = () => yes("open"); socket.onerror = () => no("refused");
  }),
];
document.getElementById("form").submit();
Promise.allSettled(tries).then(all => {
  for (const one of all) if (one.status === "fulfilled" && one.value) seen.push(one.value);
  document.title = "done " + JSON.stringify(seen);
});
</script>
"""


@contextmanager
def attacker(target: str) -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = ATTACK.replace("TARGET", target).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def sessions(installation: Installation) -> list[str]:
    answer = httpx2.get(
        f"{installation.url}/api/sessions",
        headers=installation.bearer,
        verify=False,
        trust_env=False,
    )
    return [session["id"] for session in answer.json()["items"]]


def test_it_changes_nothing_and_reads_nothing_with_the_owners_cookie(
    browser: Browser, installation: Installation, signed_in: StorageState
) -> None:
    before = sessions(installation)
    context = browser.new_context(storage_state=signed_in)
    with attacker(installation.url) as address:
        page = context.new_page()
        answers: dict[str, int] = {}
        page.on("response", lambda answer: answers.update({answer.url: answer.status}))
        page.goto(address)
        page.wait_for_url("**/")
        page.wait_for_function("document.title.startsWith('done')")
        assert page.title() == "done []"
    context.close()
    assert sessions(installation) == before
    assert answers[f"{installation.url}/api/chat/stream"] == 403
