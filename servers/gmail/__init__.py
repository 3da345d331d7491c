"""Gmail: search, read, organise, draft, and send what the owner approved."""
