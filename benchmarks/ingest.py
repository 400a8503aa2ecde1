"""The whole ingest against its own inspection alone, against one Prefect task an asset, and against reading alone.

`python -m benchmarks.ingest [--count 20000]` starts an embedded stack in a scratch folder, fills the intake with small
pictures and texts of which no two are equal, and measures in one run:

- *whole*: the flow `ingest_assets` as it is scheduled: list, read, hash, custody, inspect, classify, rights, route,
  record, park reviews, publish what a rule approves;
- *content alone*: the same inspection and classification of the same bytes from local files, in as many processes;
- *task an asset*: a plain Prefect flow with one task an asset that reads and inspects it, on a part of the objects;
- *without content*: the same flow with inspection and models switched off;
- *reading alone*: obstore reading and hashing the same objects, in as many processes.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import PeakMemory, Ratio, print_report

if TYPE_CHECKING:
    from tasks.settings import Settings

SEED = 20261124
PROCESSES = 2
TASK_PART = 20  # one object in so many goes through the flow with one task an asset
PICTURES = 5  # one object in so many is a picture, the rest are texts

POLICY = """
name: benchmark
calendar: {timezone: UTC, days: mon-fri, hours: "09:00-17:00"}
collections:
  - {name: texts, prefix: texts/, submitter: authors, owner: owners,
     use: [{action: publish, channel: web, territory: [DE]}]}
  - {name: rest, prefix: "", submitter: authors, owner: owners,
     use: [{action: publish, channel: web, territory: [DE]}]}
screening:
  accept: [image, document, text, video, audio, other]
  max_size: 2 GiB
  quarantine: {owner: owners, deadline: {within: 2 days, finally: reject}}
classification:
  labels:
    {product: "a product on a plain background", landscape: "mountains and a lake", notice: "a short notice",
     other: "anything else"}
approval:
  stages:
    - {name: editor, default: true, reviewers: editors, signature: none, deadline: {within: 2 days, finally: reject}}
  automatic:
    - {name: cleared texts, when: "collection = 'texts' AND kind = 'text' AND clearance = 'cleared'", second_look: 1%}
  four_eyes: true
  review_size: 48
rights: {gate: editor, block: [conflict, restricted, embargoed, expired]}
"""
ROSTER = """
people:
  - {handle: ada, name: Ada}
  - {handle: ben, name: Ben}
  - {handle: cem, name: Cem}
groups: {editors: [ada, ben], owners: [ada, ben], authors: [cem]}
"""
CONTRACTS = "id,effect,collection,actions,channels,territories\nT-1,permit,texts,publish,any,WORLD\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """One way: how many objects it did, in what time, with what peak memory of its processes."""

    name: str
    count: int
    seconds: float
    peak_bytes: int

    @property
    def rate(self) -> float:
        """Objects a second."""
        return self.count / self.seconds


def make_objects(count: int, folder: Path) -> list[str]:
    """Write `count` files of which no two are equal and return their keys."""
    from PIL import Image, ImageDraw

    draw = random.Random(SEED)  # noqa: S311 (pictures, not secrets)
    words = "harbour spring linen oak glass copper lamp notice morning district price window paper".split()  # noqa: SIM905
    keys = []
    for number in range(count):
        if number % PICTURES == 0:
            key = f"pictures/{number:06d}.jpg"
            picture = Image.new("RGB", (480, 320), tuple(draw.randrange(256) for _ in range(3)))
            pen = ImageDraw.Draw(picture)
            for _ in range(12):
                box = sorted(draw.randrange(480) for _ in range(2)), sorted(draw.randrange(320) for _ in range(2))
                pen.ellipse(
                    (box[0][0], box[1][0], box[0][1], box[1][1]), fill=tuple(draw.randrange(256) for _ in range(3))
                )
            data = io.BytesIO()
            picture.save(data, "JPEG", quality=85)
            body = data.getvalue()
        else:
            key = f"texts/{number:06d}.txt"
            body = f"Notice {number}. {' '.join(draw.choices(words, k=60))}.\n".encode()
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        keys.append(key)
    return keys


def timed(name: str, count: int, work: Callable[[], Any]) -> Measured:
    """Run `work` once and say how long it took and what memory its processes held."""
    with PeakMemory() as memory:
        start = time.perf_counter()
        work()
        seconds = time.perf_counter() - start
    return Measured(name, count, seconds, memory.bytes)


def inspect_and_classify(shard: Sequence[tuple[str, str]], cache: str, labels: dict[str, str]) -> int:
    """Content alone: what a shard's process does with local copies, and nothing else. Returns how many got a label."""
    from classifiers.classifier import Content
    from classifiers.registry import classify_by_kind
    from tasks.classify_contents import _classifiers
    from tasks.inspect_contents import _sandbox

    found = _sandbox().inspect([(Path(path), key) for path, key in shard])
    contents = [
        Content(one.sha256, str(one.kind), Path(path), one.text) for one, (path, _) in zip(found, shard, strict=True)
    ]
    verdicts = classify_by_kind(contents, labels, _classifiers(Path(cache)))
    return sum(one.label is not None for one in verdicts)


def read_and_hash(settings: Settings, keys: Sequence[str]) -> int:
    """Reading alone: obstore and SHA-256, as many readers as the ingest has."""
    from concurrent.futures import ThreadPoolExecutor

    import obstore

    from tasks.fetch_objects import READERS
    from tasks.storage import Storage

    store = Storage(settings.s3, settings.s3_endpoint)._store(settings.s3.buckets.intake)

    def one(key: str) -> int:
        digest = hashlib.sha256()
        size = 0
        for chunk in obstore.get(store, key).stream(min_chunk_size=1024 * 1024):
            data = bytes(chunk)
            digest.update(data)
            size += len(data)
        return size

    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(one, keys))


def start(home: Path, *, content: bool) -> Settings:
    """An embedded stack without schedules, an intake in it, and an empty ledger of its own."""
    from cli.stack.stack import start_stack
    from tasks.settings import load_settings

    (home / "policy.yaml").write_text(POLICY)
    (home / "roster.yaml").write_text(ROSTER)
    never = "0 0 29 2 *"
    flags = {
        "home": home / "stack",
        "policy": home / "policy.yaml",
        "roster": home / "roster.yaml",
        "prefect.worker": False,
        "ingest.processes": PROCESSES,
        "ingest.inspect": content,
        "models.enabled": content,
        "database.url": f"sqlite:///{home / ('whole.db' if content else 'without.db')}",
        **{
            f"schedules.{name}": never
            for name in (
                "ingest_assets",
                "carry_out_effects",
                "enforce_deadlines",
                "apply_archive_policy",
                "refresh_metrics",
            )
        },
    }

    def settings() -> Settings:
        return load_settings(None, flags)

    return start_stack(settings(), None, reload=settings, report=lambda _: None)


def fill(settings: Settings, folder: Path, keys: Sequence[str]) -> None:
    """Put the files into the intake and the contracts into the workspace."""
    from concurrent.futures import ThreadPoolExecutor

    import obstore

    from tasks.storage import Storage

    storage = Storage(settings.s3, settings.s3_endpoint)
    intake = storage._store(settings.s3.buckets.intake)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: obstore.put(intake, key, (folder / key).read_bytes(), use_multipart=False), keys))
    storage.put(settings.s3.buckets.workspace, settings.contracts, CONTRACTS.encode(), "text/csv")


def run_ingest(settings: Settings) -> None:
    """The flow as a flow run, in a process of its own, as a worker would start it."""
    import subprocess
    import sys

    environment = os.environ | {
        "PREFECT_API_URL": settings.prefect_api,
        "SIGNOFF_HOME": str(settings.home),
        "SIGNOFF_DATABASE__URL": settings.database_url,
        "SIGNOFF_INGEST__PROCESSES": str(PROCESSES),
        "SIGNOFF_INGEST__INSPECT": str(settings.ingest.inspect).lower(),
        "SIGNOFF_MODELS__ENABLED": str(settings.models.enabled).lower(),
        "OMP_NUM_THREADS": "1",
    }
    code = "from flows.ingest_assets import ingest_assets; ingest_assets()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


def run_task_an_asset(settings: Settings, keys: Sequence[str]) -> None:
    """A plain Prefect flow: one task an asset, each reading and inspecting its object, in as many processes."""
    import subprocess
    import sys

    environment = os.environ | {
        "PREFECT_API_URL": settings.prefect_api,
        "SIGNOFF_HOME": str(settings.home),
        "OMP_NUM_THREADS": "1",
        "BENCHMARK_KEYS": "\n".join(keys),
    }
    code = "from benchmarks.task_an_asset import task_an_asset; task_an_asset()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


def shards_of(keys: Sequence[str], size: int) -> list[Sequence[str]]:
    """Keys cut as the ingest cuts them."""
    return [keys[start : start + size] for start in range(0, len(keys), size)]


def in_processes(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> None:
    """Call `function` once for each of `calls`, in as many fresh processes as the ingest uses."""
    from multiprocessing import get_context

    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for future in [pool.submit(function, *call) for call in calls]:
            future.result()


def published(settings: Settings) -> dict[str, int]:
    """How many versions stand in each state of the ledger."""
    from ledger.engine import Ledger
    from ledger.reader import count_by_state

    ledger = Ledger(settings.database_url)
    with ledger.reading() as connection:
        return count_by_state(connection)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="objects in the intake")
    count = parser.parse_args().count
    os.environ["OMP_NUM_THREADS"] = "1"
    from cli.stack.stack import stop_stack

    with tempfile.TemporaryDirectory(prefix="signoff-benchmark-") as scratch:
        home, folder = Path(scratch), Path(scratch) / "objects"
        keys = make_objects(count, folder)
        try:
            results = measure(home, folder, keys)
        finally:
            stop_stack(home / "stack")
    report(results)


def measure(home: Path, folder: Path, keys: Sequence[str]) -> dict[str, Measured]:
    """All ways, one after the other, on one stack and the same objects."""
    from policies.document import load_policy

    labels = dict(load_policy(POLICY, "policy.yaml").classification.labels)
    settings = start(home, content=True)
    fill(settings, folder, keys)
    cache = settings.home / "models"
    inspect_and_classify(
        [(str(folder / key), key) for key in keys[:6]], str(cache), labels
    )  # converts the weights once
    shards = shards_of(keys, settings.ingest.shard_size)
    results = {}
    results["reading alone"] = timed(
        "reading alone", len(keys), lambda: in_processes(read_and_hash, [(settings, shard) for shard in shards])
    )
    local = [([(str(folder / key), key) for key in shard], str(cache), labels) for shard in shards]
    results["content alone"] = timed("content alone", len(keys), lambda: in_processes(inspect_and_classify, local))
    results["whole"] = timed("whole", len(keys), lambda: run_ingest(settings))
    print("states:", published(settings))
    part = keys[::TASK_PART]
    results["task an asset"] = timed("task an asset", len(part), lambda: run_task_an_asset(settings, part))
    bare = start(home, content=False)
    results["without content"] = timed("without content", len(keys), lambda: run_ingest(bare))
    print("states:", published(bare))
    return results


def report(results: dict[str, Measured]) -> None:
    """The table and the ratios."""
    whole, bare = results["whole"], results["without content"]
    print_report(
        "ingest",
        ("way", "objects", "seconds", "objects/s", "peak MB"),
        [(one.name, one.count, one.seconds, one.rate, one.peak_bytes / 1e6) for one in results.values()],
        [
            Ratio("whole ingest against its content alone", whole.rate / results["content alone"].rate, 0.7),
            Ratio("whole ingest against one task an asset", whole.rate / results["task an asset"].rate, 2),
            Ratio("ingest without content against reading alone", bare.rate / results["reading alone"].rate, 0.3),
        ],
    )


if __name__ == "__main__":
    main()
