"""Templates in a process of their own: the same texts as in this one, and limits that hold."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from customspec.prompts import Row, TemplateError
from customspec.sandbox.client import Worker
from customspec.sandbox.templates import Sandboxed, SandboxedChat, TemplateLimitError, prompt_template
from customspec.templates import Template

FIELDS = {"text": "héllo\u2028\n", "words": ["one", "two"], "nested": {"a": [1, 2.5, None, True]}, "big": 10**40}
ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
SQUARES = "{% set n = namespace(i=3) %}{% for i in range(40) %}{% set n.i = n.i * n.i %}{% endfor %}"
DOUBLING = "{% set n = namespace(t='ab') %}{% for i in range(40) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}"


@pytest.fixture
def runner() -> Iterator[Worker]:
    runner = Worker()
    yield runner
    runner.close()


def pid(runner: Worker) -> int:
    assert runner._child is not None
    return runner._child.process.pid


@pytest.mark.parametrize(
    "source",
    [
        "plain",
        "{% set º = 1 %}{{ º }}",
        "{{ text }}|{{ words | join(', ') }}|{{ nested.a }}|{{ big + 1 }}",
        "{% for word in words %}{{ loop.index }}{{ word | upper | tojson }}\n{% endfor %}",
        "{{ text | wordwrap(3) }}{{ nested | pprint }}{{ 'a\\tb\\u00e9' }}{{ 'é b' | urlencode }}{{ words | tojson }}",
        "{{ nested | string | truncate(9) }}{{ text | striptags | title | center(20) }}{{ 3.14159 | round(2) }}",
    ],
)
def test_the_worker_fills_as_this_process_does(source: str, runner: Worker) -> None:
    here, there = Template(source), Sandboxed(source, runner)
    assert there.render(FIELDS) == here.render(FIELDS)
    assert (there.variables, there.printed) == (here.variables, here.printed)


@pytest.mark.parametrize(
    "source", ["{{ a", "\n{{ a.__class__ }}", "{{ 2 ** 3 }}", "{% include 'x' %}", "{{ a | nope }}"]
)
def test_what_is_no_template_is_told_with_its_line_and_word(source: str, runner: Worker) -> None:
    with pytest.raises(TemplateError) as here:
        Template(source)
    for _ in range(2):
        with pytest.raises(TemplateError) as there:
            Sandboxed(source, runner)
        assert (str(there.value), there.value.line, there.value.word) == (
            str(here.value),
            here.value.line,
            here.value.word,
        )


def test_many_rows_are_filled_by_one_process(runner: Worker) -> None:
    template = Sandboxed("{{ number }}", runner)
    first = pid(runner)
    assert template.render_all([{"number": i, "unused": object()} for i in range(2000)]) == [
        str(i) for i in range(2000)
    ]
    assert Sandboxed("{{ other }}", runner).render_all([]) == []
    assert pid(runner) == first


def test_the_row_that_cannot_be_filled_is_named(runner: Worker) -> None:
    template = Sandboxed("{{ 1 / number }}", runner)
    with pytest.raises(TemplateError, match="division by zero") as caught:
        template.render_all([{"number": 1}] * 700 + [{"number": 0}] + [{"number": 1}] * 700)
    assert caught.value.row == 700


def test_a_prompts_part_is_named_with_the_row() -> None:
    rows = [Row("1", {"text": "a", "label": "b"}, "t:1"), Row("2", {"text": "a", "label": 3}, "t:2")]
    with pytest.raises(TemplateError) as caught:
        prompt_template("{{ text }}", "{{ label + 'c' }}").render_all(rows)
    assert (caught.value.part, caught.value.row) == ("answer", 1)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        # which limit is met first depends on how busy the machine is
        ("{{ 9999999999 * 'a' }}", "memory"),
        ("{{ ('a' * 3 * 10 * 1000 * 1000 * 1000) | length }}", "memory|computing"),
        ("{{ [[[]] * 1000000] * 1000000 }}", "memory|computing"),
    ],
)
def test_what_is_too_much_while_compiling_is_refused(source: str, said: str, runner: Worker) -> None:
    with pytest.raises(TemplateLimitError, match=said):
        Sandboxed(source, runner).render({})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (ENDLESS, "0.5 s of computing"),
        (DOUBLING, "memory"),
        ("{% for i in range(99999) %}{{ 'x' * 99 }}{% endfor %}", "more text"),
        (
            "{% set n = namespace(i=3) %}{% for i in range(40) %}{% set n.i = n.i * n.i %}{% endfor %}",
            "computing|memory",
        ),
        ("{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "computing|recursion"),
    ],
)
def test_what_is_too_much_while_filling_is_refused_and_the_next_is_filled(
    source: str, said: str, runner: Worker
) -> None:
    before = Sandboxed("{{ a }}", runner)
    with pytest.raises(TemplateError, match=said):
        Sandboxed(source, runner).render({})
    assert before.render({"a": 1}) == "1"
    assert Sandboxed("{{ b }}", runner).render({"b": 2}) == "2"


def test_the_time_of_all_rows_counts(runner: Worker) -> None:
    slow = Sandboxed("{% for i in range(n) %}{% endfor %}", runner)
    with pytest.raises(TemplateLimitError, match="computing"):
        slow.render_all([{"n": 90_000}] * 20_000)


def test_a_process_that_was_killed_is_started_again(runner: Worker) -> None:
    template = Sandboxed("{{ a }}", runner)
    first = pid(runner)
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert template.render({"a": 1}) == "1"
    assert pid(runner) != first


def test_half_of_a_character_is_no_text(runner: Worker) -> None:
    template = Sandboxed("{{ '\\ud800' ~ a }}", runner)
    with pytest.raises(TemplateError, match=r"it writes U\+D800, half of a surrogate pair, which is no text"):
        template.render({"a": "x"})
    assert Sandboxed("{{ a }}", runner).render({"a": "\U0001f600"}) == "\U0001f600"


def test_after_an_interrupt_no_answer_is_taken_for_anothers(runner: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    template = Sandboxed("{{ a }}", runner)

    def interrupted(_: Worker, _child: object) -> bytes:
        raise KeyboardInterrupt  # as a signal does, when the request is on its way

    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_received", interrupted)
        with pytest.raises(KeyboardInterrupt):
            template.render({"a": "first"})
    assert template.render({"a": "second"}) == "second"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_process_sees_no_environment_and_can_open_no_file(runner: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hf_123")
    Sandboxed("{{ a }}", runner)
    process = Path("/proc", str(pid(runner)))
    assert b"SECRET_TOKEN" not in (process / "environ").read_bytes()
    assert (process / "cwd").readlink() == Path("/")
    limits = (process / "limits").read_text()
    assert "Max open files            3 " in limits
    assert f"Max address space         {192 * 2**20} " in limits


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("ending", ["sys.exit(0)", "os.kill(os.getpid(), 9)", "raise RuntimeError"])
def test_the_process_ends_with_the_one_that_started_it(ending: str) -> None:
    program = (
        "import os, sys\nfrom customspec.sandbox.client import worker\n"
        "from customspec.sandbox.templates import Sandboxed\n"
        f"Sandboxed('x')\nprint(worker()._child.process.pid, flush=True)\n{ending}"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    child = int(done.stdout)
    for _ in range(3000):  # killed without warning, it ends when it sees its input end
        if not Path("/proc", str(child), "stat").exists():
            break
        time.sleep(0.01)
    assert not Path("/proc", str(child), "stat").exists()


def test_a_forked_process_starts_its_own(runner: Worker) -> None:
    Sandboxed("{{ a }}", runner)
    first, (read, write) = pid(runner), os.pipe()
    child = os.fork()
    if child == 0:
        text = Sandboxed("{{ a }}", runner).render({"a": "child"})
        os.write(write, f"{text} {pid(runner) != first}".encode())
        runner.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"child True"
    os.close(read)
    os.close(write)
    assert Sandboxed("{{ a }}", runner).render({"a": "parent"}) == "parent"
    assert pid(runner) == first


def test_threads_take_turns(runner: Worker) -> None:
    template, texts = Sandboxed("{{ a }}", runner), dict[int, list[str]]()

    def fill(number: int) -> None:
        texts[number] = [template.render({"a": f"{number}-{i}"}) for i in range(50)]

    threads = [threading.Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == {number: [f"{number}-{i}" for i in range(50)] for number in range(4)}


def test_a_chat_template_is_limited_alike(runner: Worker) -> None:
    chat = SandboxedChat("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{{ bos }}", runner)
    filled = chat.render({"messages": [{"role": "user", "content": "hi"}], "bos": "<s>"})
    assert filled == "[user] hi\n<s>"
    with pytest.raises(TemplateLimitError, match="computing"):
        SandboxedChat(ENDLESS, runner).render({})
    with pytest.raises(TemplateError, match="roles must alternate"):
        SandboxedChat("{{ raise_exception('roles must alternate') }}", runner).render({})


def test_what_all_rows_come_to_has_a_limit(runner: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    from customspec.sandbox import templates

    rows = [{"text": "x" * 10}] * 600
    assert len(Sandboxed("{{ text * 100 }}", runner).render_all(rows)) == 600
    monkeypatch.setattr(templates, "ALL", 100_000)
    assert len(Sandboxed("{{ text * 16 }}", runner).render_all(rows)) == 600
    with pytest.raises(TemplateLimitError, match="many times the text that they hold"):
        Sandboxed("{{ text * 100 }}", runner).render_all(rows)
