"""The orchestrator: chat turns, the aggregator of MCP servers, storage and the HTTP API."""
