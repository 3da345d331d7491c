"""One person with an account: mail, calendars and tasks."""

from typing import TYPE_CHECKING

from tests.fakes.google.calendars import PersonsCalendars
from tests.fakes.google.mailbox import Mailbox
from tests.fakes.google.tasks import PersonsTasks

if TYPE_CHECKING:
    from tests.fakes.google.server import FakeGoogle


class Person:
    """An account of the fake Google, with what is in it."""

    def __init__(self, email: str, google: "FakeGoogle") -> None:
        self.email = email
        self.mail = Mailbox(email, google)
        self.calendar = PersonsCalendars(email, google)
        self.tasks = PersonsTasks(google)
