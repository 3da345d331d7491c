"""Time, identifiers, the state of the machine, and the owner's own history of sessions."""
