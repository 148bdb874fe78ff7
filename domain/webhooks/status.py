"""How a destination is, and what to do where it is not well. Pure."""

from typing import Literal

from domain.webhooks.model import Endpoint

State = Literal["new", "working", "failing", "paused", "disabled"]
_STATUS = {
    401: "it asks for credentials: put what it needs into the URL, or let it take the signature",
    403: "it refuses us: check what it lets in",
    404: "nothing is there: check the URL's path",
    405: "it takes no POST there: check the URL's path",
    410: "it says that it is gone: make it anew, then enable the destination",
    413: "it refuses bodies of this size: send fewer fields",
    429: "it asks for fewer requests: they are spread, nothing is to be done",
}
_CODES = {
    "NoSuchBucket": "create the bucket, or PATCH the destination with another one",
    "AccessDenied": "grant s3:PutObject on the bucket to the access key",
    "InvalidAccessKeyId": "PATCH the destination with an access key that exists",
    "SignatureDoesNotMatch": "PATCH the destination with the secret of its access key",
    "ExpiredToken": "PATCH the destination with credentials that are valid",
    "PermanentRedirect": "PATCH the destination with the bucket's own region",
    "AuthorizationHeaderMalformed": "PATCH the destination with the bucket's own region",
    "SlowDown": "it asks for fewer requests: they are spread, nothing is to be done",
    "credentials cannot be opened": "PATCH the destination with its credentials: the pepper is another than before",
    "does not resolve": "check the host's name, and that its DNS has an address for it",
    "not an address that may be called": "give one with a public address; self-hosters allow networks with "
    "STRUCTURED_PROMPT_WEBHOOK_ALLOW",
    "TLS": "give it a certificate that is valid for the host's name",
    "did not answer": "let it answer before it works on what it got",
    "no connection": "check that it runs and that its firewall lets us in",
    "extra": "ask the operator to install what is named",
}


def state(one: Endpoint) -> State:
    if not one.enabled:
        return "disabled"
    if one.paused:
        return "paused"
    if one.failing_since is not None:
        return "failing"
    return "working" if one.last_success_at is not None else "new"


def told(status: int | None, error: str) -> tuple[str, str]:
    """What happened at the last failure, and the remedy."""
    what = " ".join(part for part in (f"it answered {status}" if status else "", error) if part)
    for sign, remedy in _CODES.items():
        if sign in error:
            return what, remedy
    if status is not None and 300 <= status <= 399:
        return what, "redirects are not followed: give the URL that it leads to"
    return what, _STATUS.get(status or 0, "see its own log for the time of the attempt")
