"""The accounts of a server: who signed in, with which rights, and tokens that work."""
