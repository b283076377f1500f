from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from published import KEY, OTHER, Publish, drafts, objects

from customspec.store import Store
from customspec.store.store import _described


def child(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], text=True, **options)


def outputs(children: list[subprocess.Popen[str]]) -> list[Any]:
    found = [process.communicate()[0] for process in children]
    assert [process.returncode for process in children] == [0] * len(children)
    return [json.loads(text) for text in found]


def test_the_second_to_publish_gets_what_the_first_published(store: Store, publish: Publish) -> None:
    first = publish(store, KEY, {"by": "first"})
    assert publish(store, KEY, {"by": "second"}) == first == store.get(KEY)
    assert drafts(store) == []


START = """
import json, pathlib, sys
from customspec.store import Store
store, number = Store(pathlib.Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
"""


def race(code: str, store: Store) -> list[Any]:
    """What four processes print that run the code at once."""
    racers = [child(START + code, store.root, n, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for n in range(4)]
    assert [racer.stdout and racer.stdout.readline() for racer in racers] == ["ready\n"] * 4
    for racer in racers:
        assert racer.stdin is not None
        print(file=racer.stdin, flush=True)
    return outputs(racers)


PUBLISH = """
def publish(key):
    with store.publishing(key, "step") as draft:
        for name in range(5):
            (draft.folder / f"{name}.txt").write_text(number)
        return draft.publish({"by": number})
results = [publish(f"key{index}") for index in range(25)]
print(json.dumps([[result.values["by"], (result.folder / "0.txt").read_text()] for result in results]))
"""


def test_four_racing_publishers_agree_on_every_result(store: Store) -> None:
    found = race(PUBLISH, store)
    assert found[1:] == found[:1] * 3
    assert all(values == text for values, text in found[0])
    kept = [store.get(f"key{index}") for index in range(25)]
    assert [result and result.values["by"] for result in kept] == [values for values, _ in found[0]]
    assert drafts(store) == []


ONCE = """
done = []
for key in map(str, range(10)):
    with store.lock(key):
        if store.get(key) is None:
            done.append(key)
            with store.publishing(key, "step") as draft:
                draft.publish({})
print(json.dumps(done))
"""


def test_under_the_lock_four_processes_do_each_step_once(store: Store) -> None:
    done = [key for keys in race(ONCE, store) for key in keys]
    assert sorted(done) == sorted(map(str, range(10)))


WAIT = """
import pathlib, sys
from customspec.store import Store
with Store(pathlib.Path(sys.argv[1])).lock("key"):
    pass
"""


def test_a_waiter_says_once_whom_it_waits_for(store: Store) -> None:
    with store.lock("key"):
        waiter = child(WAIT, store.root, stderr=subprocess.PIPE)
        assert waiter.stderr is not None
        assert select.select([waiter.stderr], [], [], 60)[0], "it waits in silence"
        said = waiter.stderr.readline()
        assert waiter.poll() is None
    rest = waiter.communicate()[1]
    assert f"waiting for process {os.getpid()} on {os.uname().nodename}" in said
    assert (rest, waiter.returncode) == ("", 0)


def test_a_killed_holder_leaves_the_lock_free(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    code = WAIT.replace("pass", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert child(code, store.root).wait() == -signal.SIGKILL
    with store.lock("key"):
        assert caplog.records == []


RUNS = """
print(json.dumps([store.new_run("intents").name for _ in range(25)]))
"""


def test_racing_processes_get_runs_of_their_own(store: Store) -> None:
    names = [name for names in race(RUNS, store) for name in names]
    assert sorted(names) == [f"intents-{number:04d}" for number in range(1, 101)]
    assert sorted(path.name for path in store.runs.iterdir()) == sorted(names)


def test_a_runs_number_follows_the_highest_of_its_own_name(store: Store) -> None:
    for name in ["a-0002", "a-b-0007", "a-0001-0009", "a-x", "a-12"]:
        (store.runs / name).mkdir(parents=True)
    assert store.new_run("a") == store.runs / "a-0003"
    (store.runs / "a-10000").mkdir()
    assert store.new_run("a") == store.runs / "a-10001"


KILLED = """
import os, pathlib, signal, sys
from customspec.store import Store
with Store(pathlib.Path(sys.argv[1])).publishing(sys.argv[2], "train") as draft:
    with (draft.folder / "weights").open("wb") as file:
        file.write(b"x" * 100_000)
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_draft(store: Store) -> Path:
    assert child(KILLED, store.root, KEY).wait() == -signal.SIGKILL
    [left] = drafts(store)
    return left


def age(folder: Path, seconds: int) -> None:
    then = time.time() - seconds
    os.utime(folder, (then, then))


def test_a_killed_writer_publishes_nothing_and_its_draft_is_removed_by_the_next(store: Store, publish: Publish) -> None:
    killed_draft(store)
    assert (objects(store), store.get(KEY), store.has(KEY)) == ([], None, False)
    publish(store, OTHER)
    assert drafts(store) == []
    publish(store, KEY)
    assert store.get(KEY) is not None


@pytest.mark.parametrize("boot", ["+0123abcd", ""])
def test_the_draft_of_another_boot_or_of_a_system_that_tells_none_is_removed_later(
    boot: str, store: Store, publish: Publish
) -> None:
    made = killed_draft(store)
    owner, _, rest = made.name.rpartition("-")
    left = made.rename(made.with_name(f"{owner.partition('+')[0]}{boot}-{rest}"))
    publish(store, OTHER)
    assert drafts(store) == [left], "a draft of this minute is spared"
    age(left, 120)
    publish(store, KEY)
    assert drafts(store) == []
    assert store.get(KEY) is not None


def test_the_old_draft_of_a_living_process_stays(store: Store, publish: Publish) -> None:
    with store.publishing(KEY, "train") as draft:
        age(draft.folder.parent, 120)
        publish(store, OTHER)
        draft.publish({})
    assert store.get(KEY) is not None


def test_the_old_draft_of_another_machine_stays(store: Store, publish: Publish) -> None:
    left = killed_draft(store)
    pid, _, rest = left.name.partition("@")
    foreign = left.rename(left.with_name(f"{pid}@elsewhere-{rest}"))
    age(foreign, 120)
    publish(store, KEY)
    assert drafts(store) == [foreign]


# Publishes once for each K in a process of its own that is killed at its K-th operation on a file of the store.
SWEEP = """
import itertools, json, os, pathlib, signal, sys
from customspec.store import Store
OPERATIONS = {"open", "os.chmod", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir", "os.listdir"}
root, key = pathlib.Path(sys.argv[1]), sys.argv[2]

def kill_at(last):
    seen = itertools.count(1)
    def hook(event, arguments):
        if event in OPERATIONS and next(seen) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    return hook

def publish(store):
    with store.publishing(key, "train") as draft:
        for name in "abc":
            (draft.folder / name).write_text(name)
        draft.publish({"done": True})

for last in itertools.count(1):
    if (pid := os.fork()) == 0:
        sys.addaudithook(kill_at(last))
        publish(Store(root / str(last)))
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    if not os.WIFSIGNALED(status):
        break
print(json.dumps([status, last]))
"""


def test_killed_at_any_operation_a_writer_leaves_all_or_nothing(tmp_path: Path, publish: Publish) -> None:
    [[status, last]] = outputs([child(SWEEP, tmp_path, KEY, stdout=subprocess.PIPE)])
    assert status == 0
    found = [Store(tmp_path / str(number)).get(KEY) for number in range(1, last + 1)]
    there = [result is not None for result in found]
    assert there == sorted(there), "once published, always there"
    assert 15 < there.index(True) < last
    assert all(result is None or result.values == {"done": True} for result in found)
    assert all(not (tmp_path / str(number) / "quarantine").exists() for number in range(1, last + 1))
    for number in range(1, last + 1):
        assert publish(Store(tmp_path / str(number)), KEY).key == KEY


LEFT_BEHIND = """
import os, pathlib, signal, sys, time
from customspec.store import Store
with Store(pathlib.Path(sys.argv[1])).lock("key"):
    if os.fork() == 0:
        print(os.getpid(), flush=True)
    time.sleep(600)
"""


def test_a_worker_that_outlives_the_holder_keeps_no_lock(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with child(LEFT_BEHIND, store.root, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        worker = int(holder.stdout.readline())  # it runs, so its copy of the lock is closed
        try:
            holder.kill()
            holder.wait()
            with store.lock("key"):
                assert caplog.records == []
        finally:
            os.kill(worker, signal.SIGKILL)


def test_a_holder_that_has_ended_is_said_to_have() -> None:
    host = os.uname().nodename
    with child("") as gone:
        gone.wait()
    assert _described({"pid": os.getpid(), "host": host}).startswith(f"process {os.getpid()} on {host} ")
    assert "outlives it" in _described({"pid": gone.pid, "host": host})
    assert "outlives it" not in _described({"pid": gone.pid, "host": "another"})


def test_a_clock_that_was_set_back_hides_no_draft(store: Store, publish: Publish) -> None:
    age(killed_draft(store), -7200)
    publish(store, OTHER)
    assert drafts(store) == []
