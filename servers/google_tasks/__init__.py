"""Google Tasks: lists and what is to be done."""
