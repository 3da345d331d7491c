"""Commands of `python -m servers` that keep a server's tokens, approvals and accounts."""
