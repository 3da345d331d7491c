"""A fake Google: Gmail, Calendar, Tasks and the sign-in, on a real port, as strict as Google."""

from tests.fakes.google import mail_reading, mail_writing
from tests.fakes.google.server import FakeGoogle

__all__ = ["FakeGoogle", "mail_reading", "mail_writing"]
