"""Tells sound from everything else that shares its containers: films, pictures, streams."""

import struct

_MP3_KBITS = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Layer III, by version."""
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_OGG_SOUNDS = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC")
_OGG_FILMS = (b"\x80theora", b"BBCD\x00", b"OVP80")
_WEBM_FILMS = (b"V_VP8", b"V_VP9", b"V_AV1", b"V_MPEG")
_SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"F4A "})
_MP4_BRANDS = _SOUND_BRANDS | {
    *(b"isom", b"mp41", b"mp42", b"dash", b"iso2", b"iso4", b"iso5", b"iso6", b"iso8", b"3gp4"),
    *(b"3gp5", b"mp71", b"MSNV"),
}


def sound_type(head: bytes) -> str | None:
    """Return the type of an MP3, WAV, Ogg, WebM or MP4 sound that starts with `head`, or None."""
    for mime, is_it in (
        ("audio/wav", _is_wav),
        ("audio/ogg", _is_ogg),
        ("audio/webm", _is_webm),
        ("audio/mp4", _is_mp4),
        ("audio/mpeg", _is_mp3),
    ):
        if is_it(head):
            return mime
    return None


def _is_wav(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WAVE" and b"fmt " in head[12:4096]


def _is_ogg(head: bytes) -> bool:
    """The first pages name what the streams hold."""
    start = head[:4096]
    return (
        start[:5] == b"OggS\x00"
        and any(mark in start for mark in _OGG_SOUNDS)
        and not any(mark in start for mark in _OGG_FILMS)
    )


def _is_webm(head: bytes) -> bool:
    is_matroska = head[:4] == b"\x1a\x45\xdf\xa3" and b"\x42\x82\x84webm" in head[:64]
    is_sound = b"A_OPUS" in head or b"A_VORBIS" in head
    return is_matroska and is_sound and not any(mark in head for mark in _WEBM_FILMS)


def _is_mp4(head: bytes) -> bool:
    """A sound by its brand, or by the handlers of its tracks when they come first."""
    if head[4:8] != b"ftyp" or head[8:12] not in _MP4_BRANDS:
        return False
    if b"hdlr" in head:
        handlers = {part[8:12] for part in head.split(b"hdlr")[1:]}
        return b"soun" in handlers and b"vide" not in handlers
    return head[8:12] in _SOUND_BRANDS


def _is_mp3(head: bytes) -> bool:
    start = 0
    if head[:3] == b"ID3":
        if len(head) < 10 or not 2 <= head[3] <= 4 or max(head[6:10]) > 0x7F:
            return False
        start = 10 + sum(byte << 7 * (3 - place) for place, byte in enumerate(head[6:10]))
        if start >= len(head):  # a cover larger than the head
            return True
        start += len(head[start:]) - len(head[start:].lstrip(b"\x00"))
    length = _mp3_frame_length(head, start)
    # Eleven set bits are no proof; a second frame where the first ends is.
    return length is not None and (
        start + length == len(head) or _mp3_frame_length(head, start + length) is not None
    )


def _mp3_frame_length(head: bytes, start: int) -> int | None:
    """Return the bytes of the frame of MPEG layer III at `start`, or None."""
    if len(head) < start + 4:
        return None
    bits = struct.unpack_from(">I", head, start)[0]
    version, layer, kbits, rate = bits >> 19 & 3, bits >> 17 & 3, bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or version == 1 or layer != 1 or kbits in {0, 15} or rate == 3:
        return None
    is_first = version == 3
    per_second = _MP3_KBITS[1 if is_first else 2][kbits] * 1000
    return (144 if is_first else 72) * per_second // _MP3_RATES[version][rate] + (bits >> 9 & 1)
