"""Every failure is one of two words: try later, or never.

    StructuredPromptError
    ├── Transient               try later; `retry_after` seconds when the other side said so
    │   └── Unavailable         a dependency does not answer (broker, PostgreSQL, Redis, ClickHouse)
    ├── ModelError              a provider did not answer; carries what is known of the attempt, retryable or not
    └── Permanent               the same input fails again
        ├── InvalidRequest      the caller's input; carries a code of contracts.md and the fields at fault
        ├── InvalidSettings     the operator's settings, all problems at once
        ├── ForbiddenAddress    a URL that must not be called from here
        ├── BatchRefused        a destination refuses a batch and does not say which item
        ├── MissingExtra        an optional dependency is not installed; names the extra
        └── Conflict            the state does not allow it (a second instance, a taken port, an id of another body)

Connectors translate their vendor's exceptions into these at the call site; nobody guesses from message text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class StructuredPromptError(Exception):
    """The base of every error of ours. The message says what happened, to what, and the remedy."""


class Transient(StructuredPromptError):
    """Nothing may be assumed about what happened; the same call may succeed later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Permanent(StructuredPromptError):
    """The same input fails again."""


class Unavailable(Transient):
    """A dependency does not answer: broker, PostgreSQL, Redis, ClickHouse."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason at one place; `path` is a JSON pointer, empty for the whole."""

    path: str
    message: str


class InvalidRequest(Permanent):
    """The caller's input cannot be worked on; `code` is one of contracts.md's."""

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.problems = tuple(problems)


class InvalidSettings(Permanent):
    """The settings are wrong; the message lists every problem with its remedy."""


class ForbiddenAddress(Permanent):
    """A URL, or what its name resolves to, that must not be called from here. The message holds no path or query."""


class BatchRefused(Permanent):
    """At least one item of a batch will never be taken; which one is not known. The message says why."""


class MissingExtra(Permanent):
    """An optional dependency is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra {extra!r}: pip install 'structured-prompt[{extra}]'")


class Conflict(Permanent):
    """The present state does not allow it."""


class ModelError(StructuredPromptError):
    """A provider did not answer usefully.

    outcome:      rate_limited | timeout | error | refused_connection
    sent:         False only when no byte can have reached the provider (the attempt cannot have been billed)
    retryable:    whether the same call may succeed later
    retry_after:  seconds, when the provider said so
    headers:      of a refusal for a limit, for pacing
    elsewhere:    another deployment may answer what this one never will (a bad key, a model it does not have)
    too_long:     the request does not fit into the model's context
    """

    def __init__(  # noqa: PLR0913 - the facts of one failed call belong together
        self,
        message: str,
        *,
        outcome: str,
        sent: bool,
        retryable: bool,
        retry_after: float | None = None,
        status: int | None = None,
        provider_request_id: str | None = None,
        headers: Mapping[str, str] | None = None,
        elsewhere: bool = False,
        too_long: bool = False,
    ) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.sent = sent
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status
        self.provider_request_id = provider_request_id
        self.headers = headers
        self.elsewhere = elsewhere
        self.too_long = too_long
