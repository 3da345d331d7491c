"""Points in time: aware UTC in Python, RFC 3339 text with milliseconds everywhere else."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def to_rfc3339(moment: datetime) -> str:
    """Return `2026-11-20T10:30:00.123Z`; this form also sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now_rfc3339() -> str:
    """Return the present moment as `to_rfc3339` writes it."""
    return to_rfc3339(utc_now())
