"""One file per step, never edited after a release."""
