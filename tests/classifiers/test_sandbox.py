"""The sandbox: a bad file costs one answer, and the worker never outlives its owner."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pikepdf
import psutil
import pytest
from PIL import Image

from classifiers.errors import SandboxUnavailable
from classifiers.inspection import Kind, inspect_file
from classifiers.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small(tmp_path: Path) -> list[tuple[Path, str]]:
    """Twenty small good pictures."""
    items = []
    for number in range(20):
        path = tmp_path / f"{number}"
        Image.radial_gradient("L").rotate(number).save(path, "JPEG")
        items.append((path, f"good/{number}.jpg"))
    return items


@pytest.fixture
def endless(tmp_path: Path) -> tuple[Path, str]:
    """A PDF of some kilobytes whose only page takes minutes to draw: patterns within patterns."""
    path = tmp_path / "endless"
    with pikepdf.new() as document:
        inner = pikepdf.Stream(document, b"0 0 m 900 700 l 3 9 m 800 20 900 1 5 400 c S " * 20_000)
        inner.stream_dict = pikepdf.Dictionary(
            Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Form, BBox=[0, 0, 1000, 1000]
        )
        page = document.add_blank_page(page_size=(1000, 1000))
        page.obj.Resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(F=document.make_indirect(inner)))
        page.obj.Contents = pikepdf.Stream(document, b"/F Do " * 20_000)
        document.save(path, compress_streams=True, recompress_flate=True)
    return path, "endless.pdf"


def test_answers_equal_those_of_the_same_process(small: list[tuple[Path, str]]) -> None:
    """The sandbox changes nothing about the findings, thumbnails included, and one worker serves all."""
    with Sandbox() as sandbox:
        assert sandbox.inspect(small) == [inspect_file(*item) for item in small]
        first = sandbox.worker_pid
        assert sandbox.inspect(small[:1]) == [inspect_file(*small[0])]
        assert sandbox.worker_pid == first
    assert not psutil.pid_exists(first)


def test_a_hang_is_the_failure_of_one_item(small: list[tuple[Path, str]], endless: tuple[Path, str]) -> None:
    """The item without an answer fails, those asked for after it are answered by the next worker."""
    with Sandbox(wall_s=3.0) as sandbox:
        sandbox.inspect(small[:1])  # a worker that has started
        found = sandbox.inspect([*small[:3], endless, *small[3:]])
    assert found[3].failure == "hang: no answer in 3 s"
    assert (found[3].size_bytes, len(found[3].sha256)) == (endless[0].stat().st_size, 64)
    assert [one.kind for one in found[:3] + found[4:]] == [Kind.IMAGE] * 20


def test_processor_time_is_bounded_for_each_item(small: list[tuple[Path, str]], endless: tuple[Path, str]) -> None:
    """Work without end is ended by the kernel, however patient the parent is; earlier items do not count."""
    with Sandbox(cpu_s=1, wall_s=120.0) as sandbox:
        found = sandbox.inspect([*small, endless, small[0]])
    assert [one.failure for one in found] == [None] * 20 + ["hang: more than 1 s of processor time", None]


def test_memory_is_bounded(small: list[tuple[Path, str]], tmp_path: Path) -> None:
    """A picture that does not fit fails alone, and the worker, which may be fragmented, is replaced."""
    path = tmp_path / "vast"
    Image.new("RGB", (8_000, 6_000)).save(path, "PNG", compress_level=1)
    with Sandbox(memory_bytes=300 * 1024**2) as sandbox:
        sandbox.inspect(small[:1])
        first = sandbox.worker_pid
        found = sandbox.inspect([small[0], (path, "vast.png"), small[1]])
        assert sandbox.worker_pid != first
    assert [one.failure for one in found] == [
        None,
        "memory: more is needed to read this file than a worker may have",
        None,
    ]
    assert (found[1].width, found[1].media_type) == (8_000, "image/png")


def kill_during(sandbox: Sandbox, path: Path, times: int) -> threading.Thread:
    """Kill the worker each time it has this file open."""

    def run() -> None:
        killed: set[int] = set()
        pause = threading.Event()
        while len(killed) < times:
            worker_pid = sandbox.worker_pid
            if worker_pid is not None and worker_pid not in killed and _has_open(worker_pid, path):
                os.kill(worker_pid, signal.SIGSEGV)
                killed.add(worker_pid)
            pause.wait(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def _has_open(pid: int, path: Path) -> bool:
    try:
        return any(opened.path == str(path) for opened in psutil.Process(pid).open_files())
    except psutil.NoSuchProcess:
        return False


def test_a_crash_is_tried_once_more_and_then_blamed(small: list[tuple[Path, str]], endless: tuple[Path, str]) -> None:
    """A worker that dies twice on one item makes that item fail by the signal's name, and nothing else."""
    with Sandbox(wall_s=60.0, cpu_s=60) as sandbox:
        killer = kill_during(sandbox, endless[0], times=2)
        found = sandbox.inspect([*small[:2], endless, *small[2:]])
        killer.join()
    assert [one.failure for one in found] == [None, None, "crash: SIGSEGV", *[None] * 18]


def test_a_worker_killed_from_outside_costs_nothing(small: list[tuple[Path, str]]) -> None:
    """A worker that something else on the machine killed is replaced without blaming an item."""
    with Sandbox() as sandbox:
        sandbox.inspect(small[:1])
        assert sandbox.worker_pid is not None
        os.kill(sandbox.worker_pid, signal.SIGKILL)
        assert [one.failure for one in sandbox.inspect(small)] == [None] * 20


def test_a_worker_that_cannot_start_is_an_error_of_its_own(small: list[tuple[Path, str]]) -> None:
    """Too little memory for the libraries blames no item: it is said what is needed."""
    with (
        Sandbox(memory_bytes=30 * 1024**2) as sandbox,
        pytest.raises(SandboxUnavailable, match=r"400 MiB.*allowed 30 MiB"),
    ):
        sandbox.inspect(small[:1])


def test_odd_names_and_missing_files_are_answers(tmp_path: Path) -> None:
    """Names with line breaks, quotes, lone surrogates or great length pass through; what is not there is a finding."""
    path = tmp_path / 'a\n"\udcff.jpg'
    Image.new("RGB", (5, 5)).save(path, "JPEG")
    names = ['x\n"y.jpg', "\udcff.jpg", "d/" * 5000 + "x.jpg"]
    with Sandbox() as sandbox:
        found = sandbox.inspect([(path, name) for name in names] + [(tmp_path / "missing", "m.png")])
    assert [(one.named_media_type, one.failure) for one in found] == [
        ("image/jpeg", None),
        ("image/jpeg", None),
        ("image/jpeg", None),
        ("image/png", "unreadable: No such file or directory"),
    ]


OWNER = """
import sys, time
from pathlib import Path
from classifiers.sandbox import Sandbox
sandbox = Sandbox(wall_s=600, cpu_s=600)
sandbox.inspect([(Path(sys.argv[1]), "a.jpg")])
print(sandbox.worker_pid, flush=True)
sandbox.inspect([(Path(sys.argv[2]), "a.pdf")])
"""


@pytest.mark.parametrize("at_work", [False, True])
def test_the_worker_dies_with_its_owner(
    small: list[tuple[Path, str]], endless: tuple[Path, str], at_work: bool
) -> None:
    """An owner killed with SIGKILL leaves no worker behind, whether it waits for a request or is stuck in one."""
    source = OWNER if at_work else OWNER.replace('sandbox.inspect([(Path(sys.argv[2]), "a.pdf")])', "time.sleep(600)")
    command = [sys.executable, "-c", source, str(small[0][0]), str(endless[0])]
    owner = subprocess.Popen(command, cwd="/", env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        worker = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    assert worker.wait(20) is None or not worker.is_running()


def inspect_in_pool(item: tuple[Path, str]) -> str | None:
    with Sandbox() as sandbox:
        return str(sandbox.inspect([item])[0].kind)


def test_it_works_within_a_daemonic_process(small: list[tuple[Path, str]]) -> None:
    """A process pool's worker, which may have no children of its kind, may have a sandbox."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(inspect_in_pool, small[:2]) == ["image", "image"]


def test_the_worker_has_no_secrets_no_network_and_little_code(
    small: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of the worker holds no credential, and models and Prefect are not loaded into it."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for strangers")
    with Sandbox() as sandbox:
        sandbox.inspect(small)
        worker = psutil.Process(sandbox.worker_pid)
        assert "AWS_SECRET_ACCESS_KEY" not in worker.environ()
        mapped = " ".join(region.path for region in worker.memory_maps())
        assert "_imaging" in mapped
        assert not [name for name in ("libtorch", "duckdb", "onnxruntime", "pydantic_core") if name in mapped]
        assert worker.cwd() == "/"


def test_an_interrupted_batch_leaves_no_stale_answers(small: list[tuple[Path, str]]) -> None:
    """After an exception in the middle of a batch, the next batch gets its own answers."""

    class Interrupting(list[tuple[Path, str]]):
        def __getitem__(self, at):  # type: ignore[no-untyped-def,override]
            if at == 12:
                raise KeyboardInterrupt
            return super().__getitem__(at)

    with Sandbox() as sandbox:
        with pytest.raises(KeyboardInterrupt):
            sandbox.inspect(Interrupting(small))
        assert sandbox.inspect(small[5:7]) == [inspect_file(*item) for item in small[5:7]]
