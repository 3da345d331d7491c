"""The one error of the command line."""


class Complaint(Exception):
    """Something the person at the terminal can mend; the text is one or two sentences for them."""
