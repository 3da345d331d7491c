"""The words every floor shares: plain frozen values, no I/O."""
