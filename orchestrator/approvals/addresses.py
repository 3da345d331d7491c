"""Reads URLs, hosts, e-mail addresses, account and phone numbers out of one spelling of a text."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

# Endings of file names that are no top-level domains, so that `minutes.docx` leads nowhere.
# Those that are one (zip, md, py, sh ...) stay out: such a name can be a host.
_FILE_ENDING = re.compile(
    r"""avi|bak|bin|bmp|bz2|cfg|conf|cpp|css|csv|dat|db|dll|doc[mx]?|eml|env|epub|exe|flac|gif|gz
    |heic|hpp|html?|ical|ics|ini|ipynb|iso|jpe?g|jsx?|json|key|log|m4a|mkv|mp[34]|mpe?g|msg|numbers
    |od[gpst]|ogg|otf|pages|parquet|pdf|pem|png|pptx?|psd|rar|raw|rst|rtf|scss|sql|sqlite|svg|tar
    |tex|tiff?|toml|tsx?|tsv|ttf|txt|vcf|wav|webm|webp|wm[av]|woff|xls[mx]?|xml|ya?ml""",
    re.VERBOSE,
)
_DEFAULT_PORTS = {"http": "80", "https": "443", "ftp": "21"}
_END_OF_AUTHORITY = re.compile(r"[/\\?#]")
_END_OF_HOST = re.compile(r"[:/\\?#]")
_QUOTES = "'`*"

_URL = re.compile(
    r"""(?<![^\W_])
    (?: https?:(?=[^\s<>"`{}|]) [/\\]*              # browsers mend https:/evil.example
      | [a-z][a-z0-9+.-]{1,30}:[/\\]{2,}
      | (?:tel|sms|smsto|data|javascript|vbscript|file|blob|magnet|xmpp|sips?|skype|whatsapp|tg
         |callto|facetime|bitcoin|ethereum|geo|intent|market|ms-[a-z]+|urn|ipfs):(?=[\w/\\+@%])
      | \\\\(?=[\w.-]+\\)                           # a Windows share
    )
    [^\s<>"`{}|]*""",
    re.IGNORECASE | re.VERBOSE,
)
_EMAIL = re.compile(
    r"""(?: "[^"\n]{1,64}" | (?<![\w.!\#$%&'*+/=?^~`{|}-])[\w.!\#$%&'*+/=?^~`{|}-]++ )
    @ (?: [\w-]+(?:\.[\w-]+)++ | \[[0-9a-f:.]+\] )
    (?: :(?=[\w~/.])[^\s<>"`{}|]* )?             # git@host:path leads where the path says""",
    re.IGNORECASE | re.VERBOSE,
)
_HOST = re.compile(
    r"""(?:@|(?<![\w@-])) [\w-]+(?:\.[\w-]+){1,20}+
    (?: \.?:\d{1,5}(?!\d) )? (?: \.?[/?\#\\][^\s<>"`{}|]* )?""",
    re.VERBOSE,
)
_IPV6 = re.compile(r"(?<![\w:])\[?([0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*[0-9a-f:])\]?", re.IGNORECASE)
_ACCOUNT = re.compile(
    r"""(?<![^\W_])
    (?: [a-z]{2}\d{2}[a-z0-9]{11,30}                                       # IBAN
      | [a-z]{2}\d{2}(?:[ -][a-z0-9]{4}\b)(?:[ -](?=[a-z]*\d)[a-z0-9]{4}\b)+(?:[ -]\d{1,3}\b)?
      | 0x[0-9a-f]{40} | bc1[a-z0-9]{25,87} | [13][a-z0-9]{25,34}          # wallets
    ) (?![^\W_])""",
    re.IGNORECASE | re.VERBOSE,
)
_NUMBER = re.compile(r"(?<!\d)\+?\(?\d(?:[ \t\u00a0\u202f().\-/\u2010-\u2015]{0,3}\d){6,40}")
_MIN_DIGITS = 7

_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_YEAR = r"(?:19|20)\d{2}"
_TIME = r"[0-2]?\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,6})?)?(?:Z|[+-][01]\d:?[0-5]\d)?"
_NO_NUMBER = re.compile(
    rf"""(?<![\w.+/-])
    (?: (?: {_YEAR}(?P<a>[-/.]){_MONTH}(?P=a){_DAY}
          | (?:{_DAY}(?P<b>[-/.]){_MONTH}|{_MONTH}(?P<c>[-/.]){_DAY})(?:(?P=b)|(?P=c)){_YEAR}
        ) (?:[T ]{_TIME})?
      | {_YEAR}[ ]?[-/\u2013][ ]?{_YEAR}
      | {_TIME}
      | \d+\.\d{{1,2}}
      | [0-9a-f]{{8}}-(?:[0-9a-f]{{4}}-){{3}}[0-9a-f]{{12}}
    ) (?![\w/-]|\.\d)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one text holds: the destinations, and the text without them."""

    found: frozenset[str]
    rest: str


def scan(text: str) -> Scan:
    """The destinations written out in `text`; each character belongs to one at most."""
    found: set[str] = set()
    for pattern, normalise in (
        (_URL, _url),
        (_EMAIL, _email),
        (_IPV6, _ipv6),
        (_HOST, _host),
        (_ACCOUNT, _account),
    ):
        text = _take(pattern, normalise, text, found)
    text = _take(_NUMBER, _number, _NO_NUMBER.sub("|", text), found)
    return Scan(frozenset(found), text)


def _take(
    pattern: re.Pattern[str],
    normalise: Callable[[str], str | None],
    text: str,
    found: set[str],
) -> str:
    """Move every destination of one kind into `found` and leave a space in its place."""
    kept: list[str] = []
    position = 0
    while match := pattern.search(text, position):
        written = _trimmed(match[0])
        destination = normalise(written)
        if destination is None:  # the next one may begin inside this one
            kept.append(text[position : match.start() + 1])
            position = match.start() + 1
        else:
            kept.append(text[position : match.start()] + " ")
            found.add(destination)
            position = match.start() + len(written)
    return "".join(kept) + text[position:]


def _trimmed(match: str) -> str:
    """`match` without the closing bracket of what it stands in and the end of the sentence."""
    for opening, closing in ("()", "[]"):
        if closing not in match:
            continue
        depth = 0
        for index, character in enumerate(match):
            depth += (character == opening) - (character == closing)
            if depth < 0:
                match = match[:index]
                break
    return match.rstrip(".,;:!?'*_~\"…»”’")


def _url(text: str) -> str | None:
    if text.startswith("\\\\"):
        return text.lower()
    scheme, _, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme not in ("http", "https") and not rest.startswith(("/", "\\")):
        digits = re.sub(r"[^\d+]", "", rest)
        return digits if scheme in ("tel", "sms", "smsto") and digits else f"{scheme}:{rest}"
    return _at_host(scheme, rest.lstrip("/\\"))


def _at_host(scheme: str, rest: str) -> str | None:
    """One spelling for all URLs of a resource; http and https, being one, are left out."""
    authority = _END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
    path = rest[len(authority) :]
    user, at, place = authority.rpartition("@")
    host, colon, port = place.rpartition(":")
    if not (colon and port.isdecimal()):
        host, port = place.removesuffix(":"), ""
    host = host_name(host)
    if port and port != _DEFAULT_PORTS.get(scheme):
        host += f":{port}"
    path = path.replace("\\", "/")
    shown = host + ("" if path == "/" else path)
    # With a user it must not read like an e-mail address, nor another scheme like the web.
    plain = scheme in ("http", "https") and not at
    return (shown or None) if plain else f"{scheme}://{user}{at}{shown}"


def _email(text: str) -> str | None:
    local, _, domain = text.lstrip(_QUOTES).rpartition("@")
    return f"{local.lower()}@{host_name(domain)}" if local and "." in domain else None


def _host(text: str) -> str | None:
    name = _END_OF_HOST.split(text, maxsplit=1)[0].rstrip(".")
    colon_or_path = text[len(name) :].removeprefix(".")
    last = name.rpartition(".")[2].lower()
    leads_nowhere = _FILE_ENDING.fullmatch(last) and not colon_or_path
    if leads_nowhere or not (re.match(r"[^\W\d_]{2}", last) or _is_ip(name)):
        return None
    return _at_host("https", name + colon_or_path)


def _ipv6(text: str) -> str | None:
    return text.strip("[]").lower() if _is_ip(text.strip("[]")) else None


def _account(text: str) -> str | None:
    return re.sub(r"[ -]", "", text).upper()


def _number(text: str) -> str | None:
    digits = re.sub(r"\D", "", text)
    return ("+" if text.startswith("+") else "") + digits if len(digits) >= _MIN_DIGITS else None


def host_name(host: str) -> str:
    """`host` in small letters and in Unicode instead of punycode."""
    return ".".join(_label(label) for label in host.lower().rstrip(".").split("."))


def _label(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
