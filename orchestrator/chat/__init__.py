"""One turn, from the stored message to the last event."""
