"""Text of mails: bytes whose charset lies, encoded headers, quotations of earlier mails."""

import codecs
import re
from contextlib import suppress
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from servers.kit.foreign_text import clean_text

MAX_SUBJECT_CHARS = 300
MAX_HEADER_READ = 10_000
"""Characters; what stands behind them is left out."""

# "On 3 May 2026 at 10:00, Anna <anna@example.org> wrote:", also over two lines, and as others say.
_QUOTED_FROM = re.compile(
    r"^(?:On|Am|Le|El|Em|Il|Op|Den)\b[^\n]{5,200}(?:\n[^\n]{0,200})?"
    r"\b(?:wrote|schrieb|a écrit|escribió|escreveu|ha scritto|schreef|skrev)\b[^\n]{0,200}:\s*$"
)
_DIVIDER = re.compile(
    r"^(?:-{3,}|_{5,})\s*(?:(?:Original Message|Ursprüngliche Nachricht|Message d'origine"
    r"|Mensaje original|Mensagem original|Forwarded message)\s*-{3,})?\s*$",
    re.IGNORECASE,
)
_HEAD_LINE = re.compile(r"^\*?(?:From|Von|De|Da|Van|Fra)\s?:\*?\s", re.IGNORECASE)
_SUBJECT_LINE = re.compile(r"^\*?(?:Subject|Betreff|Objet|Asunto|Assunto|Oggetto|Onderwerp)\s?:")


def decoded(content: bytes, charset: str | None) -> str:
    """The text of a part. Never fails: what cannot be read becomes U+FFFD.

    UTF-8 is tried before the charset that is named: Gmail converts texts and leaves their headers,
    and hardly a text in another charset happens to be UTF-8.
    """
    named = _known(charset)
    # Escape sequences of ISO-2022-JP and the like are ASCII too.
    is_seven_bit = named is not None and named.startswith(("iso2022", "hz")) and b"\x1b" in content
    tries = [named, "utf-8"] if is_seven_bit else ["utf-8", named, "cp1252"]
    for encoding in tries:
        if encoding is not None:
            try:
                return content.decode(encoding)
            except (UnicodeDecodeError, LookupError):
                continue
    return content.decode("utf-8", "replace")


def header_text(value: str) -> str:
    """A header on one line, its encoded words (RFC 2047) read."""
    if "=?" in value:
        # What cannot be read stays as it came.
        with suppress(HeaderParseError, LookupError, UnicodeError, ValueError):
            value = str(make_header(decode_header(value[:MAX_HEADER_READ])))
    return " ".join(clean_text(value, MAX_HEADER_READ).split())


def without_quotes(text: str) -> str:
    """The text without what it quotes of earlier mails; all of it when nothing else is there."""
    lines = text.split("\n")
    kept: list[str] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        if _begins_old_mail(lines, position):
            break
        if not line.startswith(">"):
            kept.append(line)
        position += 1
    stripped = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    return stripped or text


def _begins_old_mail(lines: list[str], position: int) -> bool:
    line, following = lines[position], "\n".join(lines[position : position + 2])
    if _QUOTED_FROM.match(line) or _QUOTED_FROM.match(following):
        return any(later.startswith(">") for later in lines[position + 1 : position + 6])
    head = position + 1 if _DIVIDER.match(line) else position
    near = [later for later in lines[head : head + 8] if later]
    return (
        bool(near)
        and _HEAD_LINE.match(near[0]) is not None
        and any(_SUBJECT_LINE.match(later) for later in near[1:])
    )


def _known(charset: str | None) -> str | None:
    """Python's name of a charset; None for one it does not have."""
    try:
        info = codecs.lookup((charset or "").strip().strip("'\""))
    except (LookupError, ValueError):
        return None
    # UTF-7 hides markup from whoever looks for it.
    return None if info.name == "utf-7" else info.name
