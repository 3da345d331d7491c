"""What every server of the fleet gets and none may forget."""
