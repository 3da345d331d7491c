"""SQLite and JSON documents: the only place that knows SQL."""
