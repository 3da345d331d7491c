"""Text that strangers wrote, as a person would see it: nothing hidden, links with their hosts."""

from servers.kit.foreign_text.characters import clean_text
from servers.kit.foreign_text.links import Link
from servers.kit.foreign_text.pages import text_of_html

__all__ = ["Link", "clean_text", "text_of_html"]
