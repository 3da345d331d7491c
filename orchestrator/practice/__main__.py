"""Runs the practice model: `python -m orchestrator.practice --port 9100`."""

import argparse
import os
import socket
import sys

import uvicorn

from orchestrator.practice.server import create_app


def main() -> None:
    """Serve on 127.0.0.1 until stopped by a signal; the first line printed is the base URL."""
    arguments = _parse_arguments()
    app = create_app(pace_ms=arguments.pace_ms, api_key=os.environ.get("PRACTICE_API_KEY"))
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=2
    )
    try:
        listener = socket.create_server(("127.0.0.1", arguments.port), backlog=512)
    except OSError as error:
        sys.exit(f"The practice model cannot listen on port {arguments.port}: {error.strerror}.")
    with listener:
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/api/v1\n")
        sys.stdout.flush()
        uvicorn.Server(config).run([listener])


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.practice",
        description="An OpenRouter-compatible server with a scripted model. No key, no network.",
        epilog="PRACTICE_API_KEY in the environment: the only key accepted. Default: any.",
    )
    parser.add_argument("--port", type=int, default=9100, help="0 picks a free one (default 9100)")
    parser.add_argument(
        "--pace-ms", type=float, default=15.0, help="pause between two words (default 15)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
