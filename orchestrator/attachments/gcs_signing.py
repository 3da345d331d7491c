"""Whether addresses of a bucket can be signed: said once when it ends, and once when it is back."""

import logging
import time

from orchestrator.errors import BlobStoreRefused, BlobStoreUnavailable

RETRY_S = 300.0
"""Google is not asked to sign again before: every look at a file would wait for the refusal."""

logger = logging.getLogger(__name__)

SigningFailure = BlobStoreRefused | BlobStoreUnavailable


class SigningRecord:
    """What became of the last address."""

    def __init__(self) -> None:
        self._failure: SigningFailure | None = None
        self._again_at = 0.0

    def check(self) -> None:
        """Raise the last failure while it is too early to try again."""
        if self._failure is not None and time.monotonic() < self._again_at:
            raise self._failure.with_traceback(None)

    def failed(self, failure: SigningFailure) -> None:
        """Remember why there is no address."""
        if self._failure is None:
            logger.warning("bucket_addresses_not_signed instead=own_route reason=%s", failure)
        self._failure = failure
        self._again_at = time.monotonic() + RETRY_S

    def worked(self) -> None:
        """Remember that there was one."""
        if self._failure is not None:
            logger.info("bucket_addresses_signed_again")
        self._failure = None
