"""Google Calendar: what is on, when there is time, and events that two writers cannot spoil."""
