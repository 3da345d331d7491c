"""The MCP client side: connections, the aggregator, names, results."""
