"""Presets: snapshots of what the owner chose, to be put in force again as a whole."""
