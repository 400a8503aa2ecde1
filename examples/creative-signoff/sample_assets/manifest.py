"""What the sample intake consists of: one entry a file, and what each special one is there to show."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import partial
from pathlib import Path


class Feature(StrEnum):
    """What a sample is there to show; an ordinary one has none."""

    REPLACED = "a second version follows"
    EXACT_DUPLICATE = "the same bytes under another key"
    NEAR_DUPLICATE = "looks like another asset"
    BROKEN = "cut off in the middle"
    TYPE_MISMATCH = "not the type its name says"
    ODD_KEY = "a key with odd characters"
    LONG_KEY = "a key close to the limit of 1,024 bytes"
    NO_CONTRACT = "no contract covers it"
    EMBARGOED = "under embargo"
    EXPIRED = "the licence has ended"
    EXPIRING = "the licence ends soon"
    TERRITORY_SHORT = "licensed for only one of two countries"
    PROHIBITED = "a contract forbids the use"
    CREDIT_MISSING = "the credit line that the contract asks for is missing"
    NO_MODEL_RELEASE = "the file says that there is no model release"
    DATA_MINING_PROHIBITED = "the file forbids data mining"
    AI_PROHIBITED = "a contract forbids that AI looks at it"
    EXPIRED_IN_FILE = "the file itself says that its rights have ended"
    METADATA_CONFLICT = "its two forms of metadata contradict each other"
    AUTOMATIC = "an automatic rule of the policy approves it"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One file to be made: its key in the bucket, how its bytes come about, what it is for."""

    key: str
    make: Callable[[], bytes]
    purpose: str
    features: frozenset[Feature] = frozenset()


@dataclass(frozen=True, slots=True)
class Sample:
    """One file that was made: upload the bytes at `path` under `key`."""

    key: str
    path: Path
    purpose: str
    features: frozenset[Feature]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that was made: what to upload first, what to upload later under the same keys, the contracts."""

    today: date
    intake: tuple[Sample, ...]
    replacements: tuple[Sample, ...]
    contracts: Path

    def featuring(self, feature: Feature) -> list[Sample]:
        """Give the samples of the intake that show `feature`."""
        return [sample for sample in self.intake if feature in sample.features]


def recipe(key: str, content: str | bytes | Callable[[], bytes], purpose: str, *features: Feature) -> Recipe:
    """Give a recipe from text, bytes, or what makes them; features may be listed at the end."""
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        content = partial(bytes, content)
    return Recipe(key, content, purpose, frozenset(features))
