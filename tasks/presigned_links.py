"""Presigned links to objects (AWS Signature Version 4 in the query), some tens of thousands a second.

botocore's signer builds a request, takes its address apart several times and derives the day's key anew for each link:
a review of 48 assets waited longer for its links than for all else of its form. A test holds these equal to botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class LinkSigner:
    """Signs links to one S3 endpoint, as one identity; `token` is what temporary credentials bring along."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    token: str | None = None

    def link(
        self, bucket: str, key: str, at: datetime, valid_s: int, *, version: str | None = None, **answer: str
    ) -> str:
        """An address that gives the object (of `version`) to whoever has it, for `valid_s` seconds from `at` on.

        `answer` names headers of the response (`content_type="image/png"`), which the signature covers too.
        """
        moment = f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        scope = f"{moment[:8]}/{self.region}/s3/aws4_request"
        base, host, prefix = _parts(self.endpoint)
        path = f"{prefix}/{quote(bucket)}/{quote(key, safe='/~')}"
        names = {f"response-{name.replace('_', '-')}": value for name, value in answer.items()}
        query = _query(self.access_key, scope, moment, valid_s, self.token, tuple(sorted(names.items())))
        if version is not None:
            query = f"{query}&versionId={quote(version, safe='-_.~')}"  # the last in the order of names
        canonical = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        said = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(_day_key(self.secret_key, moment[:8], self.region), said.encode(), "sha256").hex()
        return f"{base}{path}?{query}&X-Amz-Signature={signature}"


@lru_cache(maxsize=8)
def _parts(endpoint: str) -> tuple[str, str, str]:
    """Scheme with host, host as the signature names it, and path of an endpoint."""
    parts = urlsplit(endpoint.rstrip("/"))
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.hostname or ""
    named = f"[{host}]" if ":" in host else host
    if parts.port is not None and parts.port != usual:
        named = f"{named}:{parts.port}"
    return f"{parts.scheme}://{parts.netloc}", named, parts.path


@lru_cache(maxsize=64)
def _query(
    access_key: str,
    scope: str,
    moment: str,
    valid_s: int,
    token: str | None,
    answer: tuple[tuple[str, str], ...],
) -> str:
    """The query as it is signed: names and values quoted, sorted by name. Links made within one second share it."""
    parts = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{access_key}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(valid_s),
        "X-Amz-SignedHeaders": "host",
        **dict(answer),
    }
    if token is not None:
        parts["X-Amz-Security-Token"] = token
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(parts.items()))


@lru_cache(maxsize=8)
def _day_key(secret_key: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
