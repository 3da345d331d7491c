"""Exact arithmetic, units, dates, statistics and money, computed away from the model."""
