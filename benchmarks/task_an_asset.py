"""The peer of `benchmarks.ingest`: a plain Prefect flow with one task an asset, doing the same inspection."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from prefect import flow, task
from prefect.task_runners import ProcessPoolTaskRunner

PROCESSES = 2


@task
def inspect_asset(key: str) -> str:
    """Read one object, inspect and classify it; returns its label or why it has none."""
    from benchmarks.ingest import POLICY
    from classifiers.classifier import Content
    from classifiers.registry import classify_by_kind
    from policies.document import load_policy
    from tasks.classify_contents import _classifiers
    from tasks.inspect_contents import _sandbox
    from tasks.resources import open_resources
    from tasks.storage import Place

    resources = open_resources()
    labels = load_policy(POLICY, "policy.yaml").classification.labels
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "object"
        resources.storage.fetch(Place(resources.storage.buckets.intake, key), path)
        (found,) = _sandbox().inspect([(path, key)])
        content = Content(found.sha256, str(found.kind), path, found.text)
        (verdict,) = classify_by_kind([content], labels, _classifiers(resources.settings.home / "models"))
    return verdict.label or str(verdict.abstained)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=PROCESSES))
def task_an_asset() -> None:
    """One task for each key in the environment variable `BENCHMARK_KEYS`."""
    futures = [inspect_asset.submit(key) for key in os.environ["BENCHMARK_KEYS"].split("\n")]
    for future in futures:
        future.result()
