"""What of a text a reader can see."""

import re
import unicodedata

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
# Category Cf holds zero-width, bidirectional and tag characters; the variation selectors of the
# second range carry hidden bytes just as well.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co"})


def without_hidden(text: str) -> str:
    """Return `text` without terminal codes and characters no reader can see."""
    plain = _ANSI.sub("", text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(character for character in plain if _is_visible(character))


def _is_visible(character: str) -> bool:
    if character in "\n\t":
        return True
    if "\U000e0100" <= character <= "\U000e01ef" or "\ufe00" <= character <= "\ufe0e":
        return False
    return unicodedata.category(character) not in _HIDDEN_CATEGORIES
