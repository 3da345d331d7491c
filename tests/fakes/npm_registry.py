"""A registry of npm on loopback that has what is installed in one folder, and nothing else."""

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote


@contextmanager
def npm_registry(installed: Path) -> Iterator[str]:
    """Serve the packages below `installed`, a `node_modules`; gives the registry's address."""
    packages = _packages(installed)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, version = unquote(self.path).strip("/").partition("/-/")
            folders = packages.get(name, {})
            if version in folders:
                self._send(_tarball(folders[version]), "application/octet-stream")
            elif folders and not version:
                document = _document(name, folders, f"http://{self.headers['Host']}")
                self._send(json.dumps(document).encode(), "application/json")
            else:
                self.send_error(404)

        def _send(self, body: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _packages(installed: Path) -> dict[str, dict[str, Path]]:
    found: dict[str, dict[str, Path]] = {}
    for file in installed.rglob("package.json"):
        name = file.parent.relative_to(_modules_of(file)).as_posix()
        content = json.loads(file.read_text(encoding="utf-8"))
        if content.get("name") == name and "version" in content:
            found.setdefault(name, {})[content["version"]] = file.parent
    return found


def _modules_of(file: Path) -> Path:
    return next(folder for folder in file.parents if folder.name == "node_modules")


def _document(name: str, folders: dict[str, Path], registry: str) -> dict[str, Any]:
    versions: dict[str, Any] = {}
    for version, folder in folders.items():
        content = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        dist = {"tarball": f"{registry}/{name}/-/{version}"}
        versions[version] = {**content, "dist": dist}
    return {"name": name, "dist-tags": {"latest": max(versions)}, "versions": versions}


def _tarball(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file in sorted(folder.rglob("*")):
            inside = file.relative_to(folder)
            if file.is_file() and "node_modules" not in inside.parts:
                archive.add(file, f"package/{inside.as_posix()}")
    return packed.getvalue()
