"""Errors of the tasks package: what a retry may cure, and what it never will."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class TaskError(Exception):
    """Base of everything that a task can fail with."""


class TransientError(TaskError):
    """The same call may succeed later: a service that is away, a lock, a time-out. Only these are retried."""


class PermanentError(TaskError):
    """The same call fails again until somebody changes something; the message says what."""


class ClockUnreadable(PermanentError, ValueError):
    """The text names no clock."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"clock is {found!r}; allowed are 'system', an instant with its zone such as 2026-11-24T09:00:00Z "
            f"(time stands still), or an offset such as +3d, -2h or +90m"
        )
        self.found = found

    def __reduce__(self) -> tuple[type[ClockUnreadable], tuple[str]]:
        return (type(self), (self.found,))


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """One setting that cannot be used: where it was set, its dotted name, what is wrong, the nearest right name."""

    origin: str
    field: str
    problem: str
    hint: str | None = None

    def __str__(self) -> str:
        tail = f" (did you mean {self.hint}?)" if self.hint else ""
        return f"{self.origin}: {self.field}: {self.problem}{tail}"


class SettingsInvalid(PermanentError):
    """The settings are refused as a whole; `problems` says each reason."""

    def __init__(self, problems: Sequence[SettingProblem]) -> None:
        super().__init__("The settings cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type[SettingsInvalid], tuple[tuple[SettingProblem, ...]]]:
        return (type(self), (self.problems,))


class StackDown(PermanentError):
    """A part is needed that neither the settings name nor an embedded stack provides."""

    def __init__(self, part: str, setting: str) -> None:
        super().__init__(
            f"{part} has no address: nothing sets {setting}, and no embedded stack was started in this home; "
            f"run `signoff up`, or set {setting}"
        )
        self.part = part
        self.setting = setting

    def __reduce__(self) -> tuple[type[StackDown], tuple[str, str]]:
        return (type(self), (self.part, self.setting))


class PrefectAway(TransientError):
    """The Prefect API cannot be reached, or is busy beyond patience."""


class PrefectRefused(PermanentError):
    """The Prefect API refuses a request; `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    def __reduce__(self) -> tuple[type[PrefectRefused], tuple[str, int]]:
        return (type(self), (str(self), self.status))


class StorageAway(TransientError):
    """The object store cannot be reached."""


class SpoolFull(TransientError):
    """The disk where objects are kept while they are looked into is full."""

    def __init__(self, folder: Path, written_bytes: int) -> None:
        super().__init__(
            f"the disk of {folder} is full ({written_bytes} bytes of an object were written); free some of it, or let "
            "TMPDIR name a larger one. Nothing is lost: the next run takes these objects up again"
        )
        self.folder, self.written_bytes = folder, written_bytes

    def __reduce__(self) -> tuple[type[SpoolFull], tuple[Path, int]]:
        return (type(self), (self.folder, self.written_bytes))


class BucketUnfit(PermanentError):
    """A bucket is missing, or is not what its purpose demands."""


class ReviewRunLost(PermanentError):
    """The flow run of a review ended without a decision; the review needs a new round."""

    def __init__(self, flow_run_id: str, state: str) -> None:
        super().__init__(f"flow run {flow_run_id} ended as {state} without a decision: park the review in a new round")
        self.flow_run_id, self.state = flow_run_id, state

    def __reduce__(self) -> tuple[type[ReviewRunLost], tuple[str, str]]:
        return (type(self), (self.flow_run_id, self.state))


class ShardProcessLost(TransientError):
    """The process that screened a shard ended in the middle of it."""

    def __init__(self, exit_code: int | None) -> None:
        super().__init__(
            f"the process that screened this shard ended with exit code {exit_code}; nothing that it recorded is lost, "
            "and the shard is screened again; if memory was short, lower ingest.processes or ingest.shard_size"
        )
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type[ShardProcessLost], tuple[int | None]]:
        return (type(self), (self.exit_code,))


class StorageRefused(PermanentError):
    """The object store refuses a request: rights, a missing bucket, a key it cannot hold."""


class ObjectMissing(PermanentError):
    """An object is not there (any more)."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"s3://{bucket}/{key} does not exist; it was removed, or never written")
        self.bucket, self.key = bucket, key

    def __reduce__(self) -> tuple[type[ObjectMissing], tuple[str, str]]:
        return (type(self), (self.bucket, self.key))


class ObjectChanged(PermanentError):
    """An object no longer holds the bytes that were pinned."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"s3://{bucket}/{key} was replaced by other bytes; the next ingest sees the new ones")
        self.bucket, self.key = bucket, key

    def __reduce__(self) -> tuple[type[ObjectChanged], tuple[str, str]]:
        return (type(self), (self.bucket, self.key))


class NoActivePolicy(PermanentError):
    """Nothing can be routed before a policy was activated."""

    def __init__(self) -> None:
        super().__init__(
            "no policy is active in the ledger; set `policy` and `roster` in signoff.toml and run `signoff up`, or run "
            "`signoff policy activate FILE`"
        )

    def __reduce__(self) -> tuple[type[NoActivePolicy], tuple[()]]:
        return (type(self), ())


class CustodyBroken(PermanentError):
    """The bytes in custody are not those that were recorded: nothing may be decided or published from them."""

    def __init__(self, bucket: str, key: str, expected: str, found: str) -> None:
        super().__init__(
            f"s3://{bucket}/{key} holds bytes with SHA-256 {found}, recorded is {expected}; nothing was published from "
            "it. Find out who wrote there, and put the recorded bytes back"
        )
        self.bucket, self.key, self.expected, self.found = bucket, key, expected, found

    def __reduce__(self) -> tuple[type[CustodyBroken], tuple[str, str, str, str]]:
        return (type(self), (self.bucket, self.key, self.expected, self.found))


class PublicationUndone(PermanentError):
    """What was copied into the library is not what was approved; it was taken out again."""


class NotRestored(PermanentError):
    """The library holds nothing under a key where something is published."""

    def __init__(self, bucket: str, key: str, reason: str) -> None:
        super().__init__(
            f"s3://{bucket}/{key} is published, but its bytes cannot be put back, so nothing is there now: {reason}"
        )
        self.bucket, self.key, self.reason = bucket, key, reason

    def __reduce__(self) -> tuple[type[NotRestored], tuple[str, str, str]]:
        return (type(self), (self.bucket, self.key, self.reason))


class PolicyRefused(PermanentError):
    """Policy and roster do not fit each other."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("The policy cannot be used with this roster:\n" + "\n".join(f"  {one}" for one in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type[PolicyRefused], tuple[tuple[str, ...]]]:
        return (type(self), (self.problems,))


class PolicyNotActivated(PermanentError):
    """A second person is needed to put another policy in the place of the active one."""

    def __init__(self, sha256: str, active: str) -> None:
        super().__init__(
            f"policy {sha256[:12]} is not the active one ({active[:12]}), and after the first, activating a policy "
            "needs a second person; nothing was changed. Put the file back, or let a second person activate the new one"
        )
        self.sha256, self.active = sha256, active

    def __reduce__(self) -> tuple[type[PolicyNotActivated], tuple[str, str]]:
        return (type(self), (self.sha256, self.active))


class PinnedPolicyRefused(PermanentError):
    """Some versions are pinned to policies that cannot be read any more; everything else was done."""

    def __init__(self, refused: Sequence[tuple[str, str]]) -> None:
        told = "\n".join(f"  policy {sha256[:12]}: {reason}" for sha256, reason in refused)
        super().__init__(
            "versions that are pinned to these policies were left as they are, without reviews and deadlines, as this "
            f"version of Signoff refuses what they say; all others were not. Use the Signoff that took them:"
            f"\n{told}"
        )
        self.refused = tuple(refused)

    def __reduce__(self) -> tuple[type[PinnedPolicyRefused], tuple[tuple[tuple[str, str], ...]]]:
        return (type(self), (self.refused,))


class FileMissing(PermanentError):
    """A file that the settings name is not there."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} does not exist; the settings or flags name it. Correct the path")
        self.path = path

    def __reduce__(self) -> tuple[type[FileMissing], tuple[Path]]:
        return (type(self), (self.path,))


class SettingsUnfinished(PermanentError):
    """Of two settings that go together, one is missing."""

    def __init__(self, one: str, other: str) -> None:
        super().__init__(
            f"the settings name only one of {one} and {other}; they are checked against each other: set both"
        )
        self.one, self.other = one, other

    def __reduce__(self) -> tuple[type[SettingsUnfinished], tuple[str, str]]:
        return (type(self), (self.one, self.other))


class SealKeyMissing(PermanentError):
    """There is no key to seal the audit trail with."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"there is no key to seal the audit trail with: {path} does not exist and audit.key is not set. "
            "`signoff up` makes it on first use; on other machines set SIGNOFF_AUDIT__KEY"
        )
        self.path = path

    def __reduce__(self) -> tuple[type[SealKeyMissing], tuple[Path]]:
        return (type(self), (self.path,))


class SealKeyExposed(PermanentError):
    """Others than its owner can read the signing key."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"others than its owner can read {path}, the key that seals the audit trail; `chmod 600` it, and exchange "
            "it with `signoff audit key --rotate` if somebody may have read it"
        )
        self.path = path

    def __reduce__(self) -> tuple[type[SealKeyExposed], tuple[Path]]:
        return (type(self), (self.path,))


class SealKeyGiven(PermanentError):
    """The signing key comes from the settings, so it is exchanged there."""

    def __init__(self, origin: str) -> None:
        super().__init__(
            f"the signing key comes from {origin}: set audit.previous_key to the present key and audit.key to the new "
            "one; the next seal announces it"
        )
        self.origin = origin

    def __reduce__(self) -> tuple[type[SealKeyGiven], tuple[str]]:
        return (type(self), (self.origin,))


class SealKeyUnknown(PermanentError):
    """The key that has to sign the next seal is not at hand."""

    def __init__(self, needed: str, found: Sequence[str]) -> None:
        super().__init__(
            f"the next seal has to be signed with key {needed}; at hand is {', '.join(found)}. Put the right key back. "
            "If it is lost, `signoff audit key --replace-lost` goes on with the one at hand, which everyone who "
            "verifies must then pin too"
        )
        self.needed, self.found = needed, tuple(found)

    def __reduce__(self) -> tuple[type[SealKeyUnknown], tuple[str, tuple[str, ...]]]:
        return (type(self), (self.needed, self.found))


class NoPinnedKey(PermanentError):
    """Nobody says which public key the seals must be signed with."""

    def __init__(self) -> None:
        super().__init__(
            "no public key is known to check the seals with: give it with --key, or set audit.trusted_keys; `signoff "
            "audit key` prints it where the seals are made. --no-seals checks the chain alone, which cannot tell a "
            "tail that was cut off"
        )

    def __reduce__(self) -> tuple[type[NoPinnedKey], tuple[()]]:
        return (type(self), ())


class SealsUnlocked(PermanentError):
    """The bucket for the seals has no object lock."""

    def __init__(self, bucket: str) -> None:
        super().__init__(
            f"the bucket {bucket!r} has no object lock, so a seal there could be taken away; no seal was written. "
            "Create a bucket with object lock enabled (no bucket can be given one later) and set audit.bucket to it"
        )
        self.bucket = bucket

    def __reduce__(self) -> tuple[type[SealsUnlocked], tuple[str]]:
        return (type(self), (self.bucket,))


class SealsLost(PermanentError):
    """A seal that the ledger recorded is not in the store."""

    def __init__(self, number: int, where: str) -> None:
        super().__init__(
            f"seal {number} is recorded in the ledger, but not to be found in {where}: the store was exchanged, or its "
            "lock was got around. Nothing was sealed. Put the store or audit.bucket back and run `signoff audit verify`"
        )
        self.number, self.where = number, where

    def __reduce__(self) -> tuple[type[SealsLost], tuple[int, str]]:
        return (type(self), (self.number, self.where))


class LedgerNotAsSealed(PermanentError):
    """The audit trail is not the one that was sealed."""

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(
            f"the audit trail is not the one that the seals in {where} tell of: {reason}. Nothing was sealed. Keep "
            "ledger and store as they are and run `signoff audit verify`. Where an older copy was restored on purpose, "
            "set another audit.prefix: seals begin anew there, and the old ones stay as evidence"
        )
        self.reason, self.where = reason, where

    def __reduce__(self) -> tuple[type[LedgerNotAsSealed], tuple[str, str]]:
        return (type(self), (self.reason, self.where))


class ExportRefused(PermanentError):
    """The audit trail cannot be written into this file."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the audit trail was not written to {path}: {reason}. What was there before is unchanged")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[ExportRefused], tuple[Path, str]]:
        return (type(self), (self.path, self.reason))


class ChannelUnusable(PermanentError):
    """A channel's address cannot be had or used: nobody is told by it until an operator mends it. It is not shown."""
