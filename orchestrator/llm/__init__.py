"""Speaking to models: the streaming client and what it yields."""
