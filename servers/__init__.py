"""The fleet: one MCP server per integration, each usable on its own."""
