"""A bucket that somebody can look into who should not is refused before content goes there, and found by a check-up."""

from __future__ import annotations

import pytest

from tasks.errors import BucketUnfit
from tasks.prepare_buckets import bucket_flaws, prepare_buckets
from tests.workplace import Workplace

pytestmark = pytest.mark.stack


def test_consumers_reach_the_library_only(workplace: Workplace) -> None:
    """The embedded store keeps to it; with credentials that reach everything each other bucket is named."""
    s3, buckets = workplace.resources.settings.s3, workplace.buckets
    s3 = s3.model_copy(update={"endpoint": workplace.resources.settings.s3_endpoint})
    assert s3.consumer is not None
    assert bucket_flaws(s3, buckets.archive) == []
    wide = s3.model_copy(update={"consumer": s3.service})
    assert bucket_flaws(wide, buckets.archive) == [
        (name, "can be listed with the credentials of consumers")
        for name in (buckets.intake, buckets.workspace, buckets.archive)
    ]
    with pytest.raises(BucketUnfit, match=f"{buckets.intake!r} can be listed with the credentials of consumers"):
        prepare_buckets(wide, embedded=False)
