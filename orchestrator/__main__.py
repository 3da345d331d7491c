"""`python -m orchestrator` is `flotilla`."""

from orchestrator.cli.main import app

app(prog_name="flotilla")
