"""A fake Google: Gmail, Calendar, Tasks and the sign-in, on a real port, as strict as Google."""

from tests.fakes.google import (
    calendar_reading,
    calendar_writing,
    mail_reading,
    mail_writing,
    tasks,
)
from tests.fakes.google.server import FakeGoogle

__all__ = [
    "FakeGoogle",
    "calendar_reading",
    "calendar_writing",
    "mail_reading",
    "mail_writing",
    "tasks",
]
