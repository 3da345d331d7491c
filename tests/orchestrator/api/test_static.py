import gzip

import pytest

from tests.orchestrator.api.doorway import serving


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    (folder / "index.html").write_text("<title>Flotilla</title>")
    (folder / "assets").mkdir()
    (folder / "assets" / "app-1a2b.js").write_text("let a")
    (folder / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"let a"))
    (folder / "icon.svg").write_text("<svg/>")
    outside = tmp_path_factory.mktemp("outside") / "secret.txt"
    outside.write_text("secret")
    (folder / "link.txt").symlink_to(outside)
    with serving(tmp_path_factory.mktemp("data"), folder) as running:
        yield running


@pytest.mark.parametrize("path", ["/", "/index.html", "/chat/ses_1", "/settings", "/sign-in"])
def test_every_place_of_the_app_is_the_page_and_is_not_cached(built, path):
    answer = built.ask("GET", path)
    assert (answer.status, answer.body) == (200, b"<title>Flotilla</title>")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


def test_hashed_files_are_cached_for_ever(built):
    answer = built.ask("GET", "/assets/app-1a2b.js")
    assert answer.body == b"let a"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")


def test_a_compressed_file_is_sent_to_those_who_take_it(built):
    answer = built.ask("GET", "/assets/app-1a2b.js", {"Accept-Encoding": "br, gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == b"let a"
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path",
    [
        "/missing.js",
        "/assets/../../secret.txt",
        "/..%2f..%2fetc/passwd.txt",
        "/%2e%2e/secret.txt",
        "//etc/hosts.txt",
        "/assets/..%5csecret.txt",
        "/link.txt",
        "/icon.svg%00.js",
    ],
)
def test_nothing_but_the_files_of_the_folder_is_served(built, path):
    answer = built.ask("GET", path)
    assert answer.status == 404
    assert b"secret" not in answer.body.replace(b"secret.txt", b"")


def test_a_new_build_is_seen_without_a_restart(built):
    (built.frontend_dir / "late.svg").write_text("<svg/>")
    assert built.ask("GET", "/late.svg").status == 404
    (built.frontend_dir / "index.html").write_text("<title>Flotilla</title>")
    assert built.ask("GET", "/late.svg").status == 200


def test_backend_paths_are_never_the_page(built):
    assert built.ask("GET", "/api/nowhere").status == 401
    assert built.ask("GET", "/health").json == "ok"
    assert built.ask("POST", "/settings").status == 404


def test_without_a_build_a_page_says_which_command_to_run(door):
    answer = door.ask("GET", "/")
    assert answer.status == 503
    assert b"make run" in answer.body
