"""`flotilla doctor`: what is configured, reachable, signed in and writable, and what to do."""
