"""What a page's styles hide from a reader: as far as simple selectors and plain values say it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

MAX_RULES = 5_000
MAX_STYLE_CHARS = 500_000
MAX_DEPTH = 5
_SMALLEST_FONT_PX = 2.0
_FAR_PX = 500.0
_CLOSE_SHADES = 24
"""How far apart two colours may be, channels summed, and still not be told from each other."""

Declarations = dict[str, str]
_IMPORTANT = "!important"
Colour = tuple[int, int, int]

_WHITE: Colour = (255, 255, 255)
_BLACK: Colour = (0, 0, 0)
_NAMED: Mapping[str, Colour] = {
    "white": _WHITE, "black": _BLACK, "snow": (255, 250, 250), "ivory": (255, 255, 240),
    "floralwhite": (255, 250, 240), "mintcream": (245, 255, 250), "azure": (240, 255, 255),
    "aliceblue": (240, 248, 255),
    "whitesmoke": (245, 245, 245), "ghostwhite": (248, 248, 255), "red": (255, 0, 0),
    "gray": (128, 128, 128), "grey": (128, 128, 128), "blue": (0, 0, 255), "green": (0, 128, 0),
}  # fmt: skip
_CSS_COMMENT = re.compile(r"/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)")
_OLD_COMMENT = re.compile(r"<!--|-->")
"""Around the rules, as Outlook writes them: CSS passes over both."""
_BRACE = re.compile(r"[{}]")
_SIMPLE = re.compile(r"(?:[a-z][a-z0-9]*+)?(?:[.#][\w-]++)?|\*")
_BARE_HEX = re.compile(r"[0-9a-f]{6}")
_NO_FONT = re.compile(r"(?:^|\s)0(?:px|pt|em|rem|%)?(?:[/\s]|$)")
_NO_SCALE = re.compile(r"scale[xy]?\(0(?:\.0*+)?[,)]")
_NUMBER = re.compile(r"(-?(?:\d++\.?\d*+|\.\d++))\s*+(px|pt|em|rem|%|vw|vh|)?")
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})\b")
_RGB = re.compile(
    r"rgba?\(\s*+(\d{1,3})\s*+[, ]\s*+(\d{1,3})\s*+[, ]\s*+(\d{1,3})\s*+"
    r"(?:[,/]\s*+([\d.]++%?))?\s*+\)"
)
_PX = {"px": 1.0, "pt": 1.33, "em": 16.0, "rem": 16.0, "%": 0.16, "": 1.0, "vw": 10.0, "vh": 10.0}


@dataclass(frozen=True)
class Look:
    """How the text in an element looks."""

    is_hidden: bool = False
    colour: Colour | None = _BLACK
    background: Colour | None = _WHITE
    """None where it is not known: a picture, or a name of a colour we have not."""

    @cached_property
    def shows_text(self) -> bool:
        if self.is_hidden:
            return False
        if self.colour is None or self.background is None:
            return True
        pairs = zip(self.colour, self.background, strict=True)
        return sum(abs(one - other) for one, other in pairs) > _CLOSE_SHADES


@dataclass(slots=True)
class Sheet:
    """The rules of a page whose selector is a tag, a class, an id, or a tag with one of them."""

    rules: dict[str, Declarations] = field(default_factory=dict[str, Declarations])
    read_chars: int = 0
    _inline: dict[str, Declarations] = field(default_factory=dict[str, Declarations])

    def read(self, css: str) -> None:
        css = css[: MAX_STYLE_CHARS - self.read_chars]
        self.read_chars += len(css)
        for selectors, body in _blocks(_OLD_COMMENT.sub(" ", _CSS_COMMENT.sub(" ", css.lower()))):
            declarations = declarations_of(body)
            for selector in selectors.split(","):
                key = selector.strip()
                is_new = key not in self.rules
                if not _SIMPLE.fullmatch(key) or (is_new and len(self.rules) >= MAX_RULES):
                    continue
                self.rules[key] = dict(self.rules.get(key, {}))
                _add(self.rules[key], declarations)

    def declarations(self, name: str, attributes: Mapping[str, str]) -> Declarations:
        """What holds for an element, from the weakest selector to its own `style`."""
        found: Declarations = {}
        keys = ["*", name]
        if self.rules:
            classes = attributes.get("class", "").lower().split()[:20]
            keys += [f".{one}" for one in classes] + [f"{name}.{one}" for one in classes]
            identity = attributes.get("id", "").lower()
            keys += [f"#{identity}", f"{name}#{identity}"] if identity else []
            for key in keys:
                _add(found, self.rules.get(key, {}))
        if (style := attributes.get("style")) is not None:
            if style not in self._inline and len(self._inline) < MAX_RULES:
                self._inline[style] = declarations_of(style.lower())
            _add(found, self._inline.get(style) or declarations_of(style.lower()))
        return {name: value.replace(_IMPORTANT, "").strip() for name, value in found.items()}


def declarations_of(css: str) -> Declarations:
    """`name: value` pairs of lower-case CSS, each with its `!important`."""
    found: Declarations = {}
    for part in _CSS_COMMENT.sub("", css).split(";", 200)[:200]:
        name, colon, value = part.partition(":")
        if colon:
            _add(found, {name.strip(): value.replace("! ", "!").strip()})
    return found


def _add(found: Declarations, later: Declarations) -> None:
    """What comes later holds, unless only the earlier one is important."""
    for name, value in later.items():
        if _IMPORTANT in value or _IMPORTANT not in found.get(name, ""):
            found[name] = value


def look_within(outer: Look, declared: Declarations, attributes: Mapping[str, str]) -> Look:
    """How text in an element looks that stands in one of look `outer`."""
    if outer.is_hidden or "hidden" in attributes or _hides(declared):
        return replace(outer, is_hidden=True)
    background = declared.get("background-color") or declared.get("background")
    background = background or attributes.get("bgcolor", "").lower()
    colour = declared.get("-webkit-text-fill-color") or declared.get("color")
    colour = colour or attributes.get("color", "").lower()
    if "background" in attributes or "url(" in declared.get("background-image", "") + background:
        background = "picture"
    look = outer
    if background and not background.startswith(("transparent", "none", "inherit", "initial")):
        look = replace(look, background=_colour_of(background, look.background))
    if colour and colour not in {"inherit", "initial", "currentcolor"}:
        if colour == "transparent" or _alpha_of(colour) == 0:
            return replace(look, is_hidden=True)
        look = replace(look, colour=_colour_of(colour, look.colour))
    return look


def _hides(declared: Declarations) -> bool:
    if (
        declared.get("display") == "none"
        or declared.get("visibility") in {"hidden", "collapse"}
        or declared.get("mso-hide") == "all"
        or declared.get("content-visibility") == "hidden"
        or _NO_FONT.search(declared.get("font", "")) is not None
    ):
        return True
    if (size := _pixels(declared.get("font-size"))) is not None and size <= _SMALLEST_FONT_PX:
        return True
    if (opacity := _pixels(declared.get("opacity"))) is not None and opacity <= 0.05:
        return True
    return _is_clipped(declared) or _is_moved_away(declared)


def _is_clipped(declared: Declarations) -> bool:
    ways = (declared.get(name, "") for name in ("overflow", "overflow-x", "overflow-y"))
    cut = any(way.startswith(("hidden", "clip")) for way in ways)
    small = any(
        _is_tiny(declared.get(name)) for name in ("height", "width", "max-height", "max-width")
    )
    clip = declared.get("clip", "").replace(" ", "").replace("px", "")
    path = declared.get("clip-path", "").replace(" ", "")
    return (
        (cut and small)
        or clip.startswith(("rect(0,0,0,0", "rect(1,1,1,1", "rect(0000"))
        or path.startswith(("inset(50%", "inset(100%", "circle(0", "polygon(00,00"))
        or _NO_SCALE.search(declared.get("transform", "")) is not None
    )


def _is_moved_away(declared: Declarations) -> bool:
    names = ["text-indent"]
    if declared.get("position") in {"absolute", "fixed", "relative"}:
        names += ["left", "top", "right", "bottom"]
    names += ["margin-left", "margin-top"]
    return any(
        (offset := _pixels(declared.get(name))) is not None and offset <= -_FAR_PX for name in names
    )


def _is_tiny(value: str | None) -> bool:
    number = _NUMBER.fullmatch(value[:40]) if value else None
    if number is None:
        return False
    # A share of an unknown width is small only when it is nothing.
    limit = _SMALLEST_FONT_PX if number[2] in {"px", "pt", ""} else 0.0
    return float(number[1]) <= limit


def is_dot(attributes: Mapping[str, str]) -> bool:
    """Whether a picture is too small to show what stands in for it."""
    return any(_is_tiny(attributes.get(name)) for name in ("width", "height"))


def _pixels(value: str | None) -> float | None:
    number = _NUMBER.fullmatch(value[:40]) if value else None
    return float(number[1]) * _PX[number[2] or ""] if number else None


def _alpha_of(value: str) -> float | None:
    rgb = _RGB.search(value)
    if rgb and rgb[4]:
        try:
            return float(rgb[4].rstrip("%"))
        except ValueError:
            return None
    hexed = _HEX.search(value)
    if hexed and len(hexed[1]) in {4, 8}:
        return float(int(hexed[1][3:4] if len(hexed[1]) == 4 else hexed[1][6:], 16))
    return None


def _colour_of(value: str, beneath: Colour | None) -> Colour | None:
    if _alpha_of(value) == 0:
        return beneath
    if _BARE_HEX.fullmatch(value):
        value = f"#{value}"
    if hexed := _HEX.search(value):
        digits = hexed[1]
        if len(digits) <= 4:
            digits = "".join(digit * 2 for digit in digits)
        return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16))
    if rgb := _RGB.search(value):
        return (int(rgb[1]), int(rgb[2]), int(rgb[3]))
    return _NAMED.get(value.split()[0]) if value.split() else None


def _blocks(css: str) -> list[tuple[str, str]]:
    """`(selectors, declarations)` outside blocks that hold under a condition only."""
    found: list[tuple[str, str]] = []
    at, heads = 0, list[str]()
    for brace in _BRACE.finditer(css):
        piece = css[at : brace.start()]
        at = brace.end()
        if brace[0] == "{":
            heads.append(piece.rpartition(";")[2].strip())
            continue
        head = heads.pop() if heads else ""
        if len(heads) > MAX_DEPTH or not head or head.startswith("@"):
            continue
        if not any(map(_is_conditional, heads)):
            found.append((head, piece))
    return found


def _is_conditional(head: str) -> bool:
    return not head.startswith("@media") or "(" in head or "print" in head
