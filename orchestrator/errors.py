"""Every error the orchestrator raises on purpose.

FlotillaError                 code, HTTP status, a sentence that says what to do
├── InvalidRequest            400  the request cannot be understood
├── NotSignedIn               401  no valid cookie or bearer token
├── Forbidden                 403  foreign Host or Origin, or a scope the token lacks
├── NotFound                  404  no such row for this owner
│   └── BlobNotFound               the bytes of a file are gone
├── Conflict                  409  the request does not fit the present state
│   ├── BlobExists                 bytes are never written twice under one name
│   ├── SignInNotConfigured        nobody can sign in to a provider before the owner sets something
│   ├── SignInUnknown              a sign-in that was not begun here, is used or too old
│   ├── SignInDenied               the person said no at the provider
│   └── SignInRefused              the provider did not complete it; says why
├── TooLarge                  413  a body, message or file over its limit
├── UnsupportedType           415  a file of a type that is on no list
├── TextNotReadable           422  a document whose text cannot be had; says why
├── TooManyRequests           429  a limit of this process; retry after a while
├── CostLimitReached          402  the owner's cap on a turn, a day or a month; says which
├── StorageFull               507  the disk refused a write; reading still works
├── NotReady                  503  starting or stopping
├── VaultUnusable             503  the key of the vault is missing or wrong; says where it belongs
├── BlobStoreUnavailable      503  the bucket or folder of files is away; a retry may do
├── BlobStoreRefused          502  the bucket or folder of files needs the owner's hand
├── ModelError                502  the upstream model refused or broke; see its subclasses
│   ├── ModelAuthError             401/403 from upstream: the key is wrong
│   ├── ModelPaymentError          402: credits are used up
│   ├── ModelRateLimited           429: carries retry_after_s
│   ├── ModelUnavailable           5xx, time-out, connection lost
│   ├── ModelRefused               content policy
│   └── ModelRequestError          4xx that a retry cannot mend
│       └── UnknownEndpoint        the id of a model names an endpoint that is not configured
└── ToolError                 502  a tool call failed in a way the model may read
    ├── ServerUnavailable     503  the server is away; says since when
    ├── ToolNotFound               no such tool, or switched off
    ├── ToolTimeout                the call passed its deadline
    └── OutcomeUnknown             the connection broke after a change may have happened
"""

from typing import ClassVar


class FlotillaError(Exception):
    """Base of all deliberate errors; `str(error)` is one sentence a person can act on."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class InvalidRequest(FlotillaError):
    """The request cannot be understood; the message names the field."""

    code = "invalid_request"
    status = 400


class NotSignedIn(FlotillaError):
    """No valid cookie or bearer token came with the request."""

    code = "not_signed_in"
    status = 401


class Forbidden(FlotillaError):
    """A foreign Host or Origin, or a scope the token lacks."""

    code = "forbidden"
    status = 403


class NotFound(FlotillaError):
    """No such row for this owner."""

    code = "not_found"
    status = 404


class BlobNotFound(NotFound):
    """The bytes of a file are not where files are kept."""

    code = "blob_not_found"


class Conflict(FlotillaError):
    """The request does not fit the present state."""

    code = "conflict"
    status = 409


class BlobExists(Conflict):
    """Bytes are never written twice under one name."""

    code = "blob_exists"


class EventLogBehind(Conflict):
    """The client has seen events that a power cut took from the log; it should reload."""

    code = "event_log_behind"


class SignInNotConfigured(Conflict):
    """The owner has to set something before anybody can sign in; the message says what."""

    code = "not_configured"


class SignInUnknown(Conflict):
    """This sign-in was not begun here, or it was used already, or is older than ten minutes."""

    code = "sign_in_unknown"


class SignInDenied(Conflict):
    """The person said no at the provider; nothing was changed."""

    code = "sign_in_denied"


class SignInRefused(Conflict):
    """The provider did not complete the sign-in; the message says why."""

    code = "sign_in_refused"


class TooLarge(FlotillaError):
    """A body, message or file over its limit."""

    code = "too_large"
    status = 413


class UnsupportedType(FlotillaError):
    """The bytes of a file are of no accepted type; the message names those that are."""

    code = "unsupported_type"
    status = 415


class TextNotReadable(FlotillaError):
    """The text of a document cannot be had; the message says why."""

    code = "text_not_readable"
    status = 422


class TooManyRequests(FlotillaError):
    """A limit of this process was reached."""

    code = "too_many_requests"
    status = 429
    retryable = True


class CostLimitReached(FlotillaError):
    """A request to a model could pass a cap of the owner; the message names it and its setting."""

    code = "cost_limit_reached"
    status = 402


class NotReady(FlotillaError):
    """The orchestrator is starting or stopping."""

    code = "not_ready"
    status = 503
    retryable = True


class StorageFull(FlotillaError):
    """The disk refused a write; reading still works."""

    code = "storage_full"
    status = 507


class VaultUnusable(FlotillaError):
    """The key that encrypts secrets cannot be used; the message says why and where it belongs."""

    code = "vault_unusable"
    status = 503


class BlobStoreUnavailable(FlotillaError):
    """The place where files are kept did not answer, or broke off; nothing was stored."""

    code = "blob_store_unavailable"
    status = 503
    retryable = True


class BlobStoreRefused(FlotillaError):
    """The place where files are kept refuses us until the owner mends its settings or rights."""

    code = "blob_store_refused"
    status = 502


class ModelError(FlotillaError):
    """The upstream model refused or broke."""

    code = "model_error"
    status = 502


class ModelAuthError(ModelError):
    """Upstream does not accept the API key."""

    code = "model_auth"


class ModelPaymentError(ModelError):
    """The credits at the upstream are used up."""

    code = "model_payment_required"


class ModelRateLimited(ModelError):
    """Upstream asks to slow down; `retry_after_s` holds its wish when it gave one."""

    code = "model_rate_limited"
    retryable = True


class ModelUnavailable(ModelError):
    """Upstream failed, timed out or dropped the connection."""

    code = "model_unavailable"
    retryable = True


class ModelRefused(ModelError):
    """Upstream refused the content."""

    code = "model_refused"


class ModelRequestError(ModelError):
    """Upstream rejected the request; the same request will fail again."""

    code = "model_request"


class UnknownEndpoint(ModelRequestError):
    """The id of a model names an endpoint that is not configured; the message lists all."""

    code = "unknown_endpoint"


class ToolError(FlotillaError):
    """A tool call failed in a way the model may read."""

    code = "tool_failed"
    status = 502


class ServerUnavailable(ToolError):
    """The server behind the tool is away."""

    code = "server_unavailable"
    status = 503
    retryable = True


class ToolNotFound(ToolError):
    """No such tool, or it is switched off."""

    code = "tool_not_found"
    status = 404


class ToolTimeout(ToolError):
    """The call passed its deadline."""

    code = "tool_timeout"
    retryable = True


class ServerBusy(ToolError):
    """The server was busy with other calls until the deadline; this one was not sent."""

    code = "server_busy"
    retryable = True


class OutcomeUnknown(ToolError):
    """The connection broke after a change may have happened; nobody retried it."""

    code = "outcome_unknown"
