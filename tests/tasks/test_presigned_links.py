"""Presigned links: the same as those of AWS's own signer, whatever the key, the endpoint and the credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from botocore import auth
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tasks.presigned_links import LinkSigner

AT = datetime(2026, 11, 24, 9, 5, 7, tzinfo=UTC)


def signed_by_botocore(signer: LinkSigner, bucket: str, key: str, valid_s: int, parameters: dict[str, str]) -> str:
    """The same link from botocore, at the same time."""
    credentials = Credentials(signer.access_key, signer.secret_key, signer.token)
    address = f"{signer.endpoint.rstrip('/')}/{quote(bucket)}/{quote(key, safe='/~')}"
    request = AWSRequest("GET", address, params=parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "get_current_datetime", lambda: AT)
        S3SigV4QueryAuth(credentials, "s3", signer.region, expires=valid_s).add_auth(request)
    return str(request.url)


def taken_apart(link: str) -> tuple[str, str, str, list[tuple[str, str]]]:
    """Scheme, host, path and the query without an order."""
    parts = urlsplit(link)
    return parts.scheme, parts.netloc, parts.path, sorted(parse_qsl(parts.query, keep_blank_values=True))


@given(
    key=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=80),
    endpoint=st.sampled_from(
        ["http://127.0.0.1:8333", "https://s3.example.org", "https://s3.example.org:443/", "http://[::1]:9000/base"]
    ),
    token=st.none() | st.text("abc+/=", min_size=1, max_size=20),
    version=st.none() | st.text("abc.-+ /", min_size=1, max_size=20),
    media_type=st.sampled_from(["image/png", "application/octet-stream", "text/plain; charset=utf-8"]),
)
def test_links_are_those_of_botocore(
    key: str, endpoint: str, token: str | None, version: str | None, media_type: str
) -> None:
    """Any key, endpoint with path or usual port, temporary credentials, pinned version: the same signature."""
    signer = LinkSigner(endpoint, "eu-central-1", "AKID", "se/cr+et", token)
    parameters = {"response-content-type": media_type, "response-content-disposition": "inline"}
    if version is not None:
        parameters["versionId"] = version
    link = signer.link(
        "work-space", key, AT, 600, version=version, content_type=media_type, content_disposition="inline"
    )
    assert taken_apart(link) == taken_apart(signed_by_botocore(signer, "work-space", key, 600, parameters))
