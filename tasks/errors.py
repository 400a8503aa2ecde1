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
