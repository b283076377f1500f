"""`customspec init`: what it guesses, and that it writes a spec that validates or none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import Ended, Workspace, colours

Command = Callable[..., Ended]

DATA = ("--train", "train.jsonl", "--test", "test.jsonl")
MODEL = ("--model", "./model")


def written(workspace: Workspace) -> str:
    return (workspace.root / "spec.yaml").read_text()


def test_it_writes_a_spec_that_validates(workspace: Workspace, customspec: Command) -> None:
    ended = customspec("init", workspace.root, *MODEL, *DATA)
    assert ended.code == 0, ended.err
    assert 'user: "{{ text }}"' in written(workspace)
    assert "choices: from_data" in written(workspace)
    assert customspec("validate", workspace.root / "spec.yaml").code == 0


@pytest.mark.parametrize("count", [3, 5, 8, 9, 12])
def test_it_asks_for_no_more_shots_than_are_left_beside_validation(
    workspace: Workspace, customspec: Command, count: int
) -> None:
    workspace.rows("few.jsonl", colours(count))
    flags = (*MODEL, "--train", "few.jsonl", "--test", "test.jsonl", "--task", "classification")
    assert customspec("init", workspace.root, *flags).code == 0
    ended = customspec("validate", workspace.root / "spec.yaml")
    assert ended.code == 0, ended.err


def test_of_columns_it_takes_those_of_plain_names(workspace: Workspace, customspec: Command) -> None:
    workspace.write("named.csv", "Full Name,facts,label\na,b,c\nd,e,f\n")
    workspace.write("later.csv", "Full Name,facts,label\na,g,c\nd,h,f\n")
    assert customspec("init", workspace.root, "--train", "named.csv", "--test", "later.csv").code == 0
    assert 'user: "{{ facts }}"' in written(workspace)
    (workspace.root / "spec.yaml").unlink()
    workspace.write("odd.csv", "a;b\nc;d\n")
    ended = customspec("init", workspace.root, "--train", "odd.csv", "--test", "odd.csv")
    assert (ended.code, "the one column is `a;b`" in ended.err) == (2, True)
    ended = customspec("init", workspace.root, "--train", "named.csv")
    assert (ended.code, "no such file: data/test.jsonl" in ended.err) == (2, True)
    assert not (workspace.root / "spec.yaml").exists()


def test_it_never_overwrites(workspace: Workspace, customspec: Command) -> None:
    workspace.spec("techniques: [zero_shot]")
    before = written(workspace)
    assert customspec("init", workspace.root, "--train", "train.jsonl").code == 2
    assert written(workspace) == before


def test_it_asks_on_a_terminal_only(workspace: Workspace, customspec: Command) -> None:
    ended = customspec("init", workspace.root)
    assert ended.code == 2
    assert "data/train.jsonl" in ended.err
    assert not (workspace.root / "spec.yaml").exists()


class TestTheAnswerItGuesses:
    """The last column whose test values are all known from training; text to generate where there is none."""

    def test_a_column_with_other_values_in_the_test_rows_is_none(
        self, workspace: Workspace, customspec: Command
    ) -> None:
        for name, start, count in (("train", 0, 24), ("test", 200, 12)):
            rows = [{**row, "source": f"{name} {i % 3}"} for i, row in enumerate(colours(count, start))]
            workspace.rows(f"{name}.jsonl", rows)
        ended = customspec("init", workspace.root, *MODEL, *DATA)
        assert ended.code == 0, ended.err
        assert 'answer: "{{ label }}"' in written(workspace)
        assert "choices: from_data" in written(workspace)

    def test_text_is_generated_where_no_column_holds_choices(self, workspace: Workspace, customspec: Command) -> None:
        workspace.rows("train.jsonl", [{"text": f"red {i}", "label": f"w{i % 4}"} for i in range(24)])
        workspace.rows("test.jsonl", [{"text": f"blue {i}", "label": f"c{i % 4}"} for i in range(12)])
        assert customspec("init", workspace.root, *MODEL, *DATA).code == 0
        assert 'answer: "{{ label }}"' in written(workspace)
        assert "choices" not in written(workspace)
        assert customspec("validate", workspace.root / "spec.yaml").code == 0

    def test_the_answer_may_stand_first_and_is_not_asked_with(self, workspace: Workspace, customspec: Command) -> None:
        for name, start, count in (("train", 0, 24), ("test", 200, 12)):
            workspace.rows(f"{name}.jsonl", [dict(reversed(row.items())) for row in colours(count, start)])
        ended = customspec("init", workspace.root, *MODEL, *DATA)
        assert ended.code == 0, ended.err
        assert 'user: "{{ text }}"' in written(workspace)
        assert 'answer: "{{ label }}"' in written(workspace)


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--model", "nowhere"), 2, "CS501"),
        (("--user", "{{ nope }}"), 2, "CS308 `nope` is not a column of the train rows"),
        (("--answer", "{{ nope }}"), 2, "CS308 `nope` is not a column of the train rows"),
        (("--user", "{{ nope"), 2, "CS307"),
        (("--test", "train.jsonl"), 2, "CS409"),
        (("--user", "{{ label }}"), 2, "CS311"),
        (("--name", "../up"), 2, "CS204"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_would_not_validate_is_not_written(
    workspace: Workspace, customspec: Command, flags: tuple[str, ...], code: int, said: str
) -> None:
    before = sorted(workspace.root.iterdir())
    ended = customspec("init", workspace.root, *MODEL, *DATA, *flags)
    assert ended.code == code
    assert said in ended.err
    assert "nothing was written" in ended.err
    assert "     | " in ended.err, "the line at fault is shown, though it is in no file"
    assert sorted(workspace.root.iterdir()) == before


class TestAFolderThatIsNotThereYet:
    def test_a_path_that_leads_out_of_it_is_told_with_what_allows_it(
        self,
        workspace: Workspace,
        customspec: Command,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("nothing-allowed")))
        new = workspace.root / "a new one"
        flags = ("--model", "nobody/known", "--train", "../train.jsonl", "--test", "../test.jsonl")
        ended = customspec("init", new, *flags)
        assert ended.code == 2
        assert "CS207 ../train.jsonl leads out of the spec's folder" in ended.err
        assert not new.exists()
        ended = customspec("init", new, *flags, "--allow-root", workspace.root)
        assert ended.code == 0, ended.err
        assert sorted(new.iterdir()) == [new / "spec.yaml"]
        assert f"customspec validate '{new}/spec.yaml' --allow-root {workspace.root}\n" in ended.out
