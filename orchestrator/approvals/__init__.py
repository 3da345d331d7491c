"""What may run, what the owner is asked first, and what his answers allow."""
