from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pytest
from support.tables import SINGLE_SEED, TWO_BY_SEED, write_made_table

from nasbench_rl import load
from nasbench_rl._utils import cli
from nasbench_rl.compare import command as compare
from nasbench_rl.compare import pool
from nasbench_rl.compare.experiment import run_search
from nasbench_rl.compare.options import shipped_tasks
from nasbench_rl.errors import MissingExtraError, TableError
from nasbench_rl.leaderboard.ranking import ALL
from nasbench_rl.leaderboard.summary import Tables, exact_random_search
from nasbench_rl.tables.parquet import read_frame


def kill_on_local_search(chunk: pool.Chunk, report: Callable[[int], None]) -> pd.DataFrame:
    """A worker's job that is killed as the kernel kills for want of memory; importable, for the pool pickles it."""
    if chunk.search.method == "local_search":
        os.kill(os.getpid(), signal.SIGKILL)
    return run_search(chunk.search, chunk.seeds)


def fill_the_disk_on_local_search(chunk: pool.Chunk, report: Callable[[int], None]) -> pd.DataFrame:
    if chunk.search.method == "local_search":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return run_search(chunk.search, chunk.seeds)


def run_compare(*arguments: str) -> int:
    return cli.run(compare.main, arguments)


@pytest.fixture(scope="module")
def compared(made_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    methods = ["--methods", "random_search,random_search:samples=3", "local_search"]
    tasks = ["--tasks", TWO_BY_SEED, SINGLE_SEED]
    assert run_compare(*tasks, *methods, "--runs", "60", "--out", str(out), "--tables", str(made_tables)) == 0
    assert (out / "leaderboard.html").is_file()
    return out


def test_live_mode_into_a_new_folder_takes_the_shipped_tasks(tmp_path: Path) -> None:
    """--tables is where its cells go, and says nothing of what is shipped."""
    options = compare._parser().parse_args(["--mode", "live", "--tables", str(tmp_path / "new"), "--methods", "spos"])
    searches, _ = compare.searches_of(options, Tables())
    assert [search.task for search in searches] == shipped_tasks()


def test_a_reader_that_has_seen_enough_is_a_good_end() -> None:
    command = [sys.executable, "-m", "nasbench_rl.build", "status"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert (process.wait(600), process.stderr.read()) == (0, "")


def test_the_leaderboard_has_every_search_and_the_references(compared: Path) -> None:
    board = pd.read_csv(compared / "leaderboard.csv")
    of_task = board[board["task"] == TWO_BY_SEED].set_index("method")
    searches = of_task[of_task["mode"] == "tabular"]
    assert sorted(searches["rank"]) == [1, 2, 3] and (searches["runs"] == 60).all()
    assert searches.loc["random_search:samples=3", "spent"] == 3 and searches.loc["random_search", "spent"] == 10
    assert of_task.loc["Nature-CNN (k4-k3)", "regret_mean"] > 0
    assert of_task.filter(like="best architecture", axis=0)["regret_mean"].item() == 0
    assert board[board["task"] == ALL]["p"].notna().any()


def test_regret_is_the_best_test_score_minus_the_chosen_ones(compared: Path, made_tables: Path) -> None:
    runs = read_frame(compared / "runs.parquet")
    bench = load(TWO_BY_SEED, tables=made_tables)
    best = bench.optimum().score
    for _, row in runs[runs["task"] == TWO_BY_SEED].iloc[::97].iterrows():
        assert row["regret"] == pytest.approx(best - bench.query(row["incumbent"]).score)
        assert row["train_seed"] in (0, 2), "a search sees validation seeds only"


def test_a_method_that_cannot_be_made_is_left_out_unless_it_was_asked_for(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = compare.get_method

    def without_torch(name: str, **hyperparameters: object) -> object:
        if name not in ("random_search", "local_search"):
            raise MissingExtraError(f"method {name!r} needs 'torch', which is not installed")
        return real(name, **hyperparameters)

    monkeypatch.setattr(compare, "get_method", without_torch)
    rest = ["--runs", "2", "--tables", str(made_tables), "--out", str(tmp_path), "--no-page"]
    assert run_compare("--tasks", TWO_BY_SEED, *rest) == 0
    assert set(read_frame(tmp_path / "runs.parquet")["method"]) == {"random_search", "local_search"}
    said = capsys.readouterr().err
    assert (
        said.count("\n") == 1 and said.startswith("left out: ") and " a2c," in said and said.endswith("-v says why\n")
    )
    assert run_compare("--tasks", TWO_BY_SEED, "-v", *rest) == 0
    assert "left out: method 'a2c' needs 'torch'" in " ".join(capsys.readouterr().err.split())
    assert run_compare("--tasks", TWO_BY_SEED, "--methods", "a2c", *rest) == 2


@pytest.mark.parametrize(("name", "module"), [("optuna", "optuna"), ("predictor", "sklearn")])
def test_a_library_that_is_absent_is_noticed_before_anything_runs(
    name: str, module: str, made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    where = f"nasbench_rl_baselines.{name}.find_spec"
    monkeypatch.setattr(where, lambda wanted: None if wanted == module else True)
    monkeypatch.setattr(compare, "method_names", lambda: ["random_search", name])
    rest = ["--runs", "2", "--tables", str(made_tables), "--out", str(tmp_path), "--no-page"]
    assert run_compare("--tasks", TWO_BY_SEED, "-v", *rest) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"left out: the method {name} needs {module!r}" in said and "pip install 'nasbench-rl[methods]'" in said
    assert run_compare("--tasks", TWO_BY_SEED, "--methods", "random_search", name, *rest) == 2


def test_a_default_comparison_names_the_tables_that_it_passes_over(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    write_made_table(tmp_path, SINGLE_SEED, 1, ["k1-k1"])
    command = ["--methods", "random_search", "--runs", "2", "--out", str(tmp_path / "out"), "--no-page"]
    done = subprocess.run(
        [sys.executable, "-m", "nasbench_rl.compare", *command, "--tables", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and done.stderr == f"left out: {SINGLE_SEED}; -v says why\n"


def test_every_row_says_where_it_comes_from(compared: Path) -> None:
    runs = read_frame(compared / "runs.parquet")
    for column in ("method_version", "configuration", "table", "mode"):
        assert runs[column].str.len().min() > 0
    assert runs.groupby("method")["configuration"].nunique().max() == 1
    assert runs["configuration"].nunique() == 3


def test_simulated_random_search_agrees_with_the_exact_expectation(compared: Path, made_tables: Path) -> None:
    runs = read_frame(compared / "runs.parquet")
    three = runs[(runs["task"] == TWO_BY_SEED) & (runs["method"] == "random_search:samples=3")]
    final = three.sort_values("step").groupby("seed").tail(1)["regret"]
    _, expected = exact_random_search(load(TWO_BY_SEED, tables=made_tables), 3_000_000)
    assert abs(final.mean() - expected[-1]) < 4 * final.std() / len(final) ** 0.5


def test_plots_and_markdown_are_there(compared: Path) -> None:
    assert (compared / "figures" / "regret-minatar-ss1-breakout-lite.png").read_bytes().startswith(b"\x89PNG")
    text = (compared / "leaderboard.md").read_text()
    assert "single train seed (0)" in text and "random search, exact" in text


def test_the_same_seeds_give_the_same_rows_in_another_process(
    compared: Path, made_tables: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "nasbench_rl.compare",
        "--tasks",
        TWO_BY_SEED,
        "--methods",
        "local_search",
        "--no-page",
    ]
    environment = {**os.environ, "NASBENCH_RL_TABLES": str(made_tables)}
    done = subprocess.run(
        [*command, "--runs", "5", "--out", str(tmp_path)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {  # without a page it draws its own
        f"regret-minatar-ss1-breakout-lite.{suffix}" for suffix in ("png", "svg")
    }
    circumstances = ["search_seconds", "code_version"]  # a commit may fall between the two
    again = read_frame(tmp_path / "runs.parquet").drop(columns=circumstances)
    first = read_frame(compared / "runs.parquet").drop(columns=circumstances)
    first = first[(first["task"] == TWO_BY_SEED) & (first["method"] == "local_search") & (first["seed"] < 5)]
    pd.testing.assert_frame_equal(again, first.reset_index(drop=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tasks", "minatar-ss1/breakot@lite"], "did you mean 'minatar-ss1/breakout@lite'"),
        (["--tasks", "minatar-ss1/breakout"], "names no recipe"),
        (["--methods", "random_serch"], "did you mean 'random_search'"),
        (["--methods", "random_search:sample=3"], "did you mean 'samples'"),
        (["--methods", "random_search:3"], "key=value"),
        (["--budget", "0"], "buys nothing"),
        (["--budget", "ten"], "is no number"),
        (["--budget", ""], "is no number"),
        (["--out", ""], "names nothing"),
        (["--methods", ""], "--methods names nothing"),
        (["--tasks", ""], "--tasks names nothing"),
        (["--methods", "random_search:samples=2.5"], "give a whole number"),
        (["--runs", "0"], "at least 1"),
        (["--mode", "lve"], "did you mean 'live'"),
        (["--seed", "-1"], "negative"),
        (["--out", "/proc/no/such"], "cannot write"),
        (["--device", "gpu"], "unknown device 'gpu'"),
        (["--device", "cuda:99"], "'cuda:99'"),
        (["--tables", "/no/such/tables"], "/no/such/tables"),
        (["--nonsense"], "--help"),
        (["--preset", "rl-agents-paper", "--runs", "3"], "fixes what --runs would change"),
        (["--preset", "meta-rl-paper", "--methods", "dqn", "--budget", "3x"], "--methods, --budget would change"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, made_tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--tables" not in arguments:
        arguments = [*arguments, "--tables", str(made_tables)]
    assert run_compare(*arguments) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_an_extra_that_only_the_report_needs_is_asked_for_before_the_searches(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "run_all", lambda *arguments: pytest.fail("it searched"))
    common = ["--tasks", TWO_BY_SEED, "--tables", str(made_tables), "--out", str(tmp_path)]
    for module, options in (("matplotlib", ["--no-page"]), ("jinja2", []), ("scipy", ["--no-page"])):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, module, None)
            assert run_compare(*common, *options) == 2
        error = capsys.readouterr().err
        assert module in error and "nasbench-rl[report]" in error and error.count("\n") == 1


@pytest.mark.parametrize("missing", ["matplotlib", "scipy"])
def test_a_preset_without_the_extra_of_its_report_is_one_line(missing: str, made_tables: Path, tmp_path: Path) -> None:
    """In a process of its own, where no earlier test has loaded the preset."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from nasbench_rl._utils import cli; "
        f"from nasbench_rl.compare import command as compare; "
        f"sys.exit(cli.run(compare.main, ['--preset', 'rl-agents-paper', '--tables', {str(made_tables)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2 and missing in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_full_disk_fails_its_search_alone(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pool, "_work", fill_the_disk_on_local_search)
    code = run_compare("--tasks", TWO_BY_SEED, "--methods", "local_search", "random_search", "--runs", "2", "--jobs",
                       "1", "--no-page", "--out", str(tmp_path), "--tables", str(made_tables))  # fmt: skip
    assert code == 1
    error = capsys.readouterr().err
    assert f"'local_search' failed on {TWO_BY_SEED}: OSError: [Errno 28] No space left" in error
    assert error.count("\n") == 1 and set(read_frame(tmp_path / "runs.parquet")["method"]) == {"random_search"}


def test_any_other_trouble_with_a_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def main(arguments: Sequence[str]) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "some/file")

    assert cli.run(main, []) == 2
    assert capsys.readouterr().err == "error: [Errno 13] Permission denied: 'some/file'\n"


def test_a_killed_worker_is_one_line_and_keeps_what_was_finished(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pool, "_work", kill_on_local_search)
    code = run_compare("--tasks", TWO_BY_SEED, "--methods", "random_search", "local_search", "--runs", "2", "--jobs",
                       "1", "--no-page", "--out", str(tmp_path), "--tables", str(made_tables))  # fmt: skip
    assert code == 1
    error = capsys.readouterr().err
    assert "a worker process was killed" in error and "Traceback" not in error
    assert set(read_frame(tmp_path / "runs.parquet")["method"]) == {"random_search"}


def test_without_a_page_an_older_page_is_not_left_beside_other_runs(made_tables: Path, tmp_path: Path) -> None:
    for name in ("leaderboard.html", "leaderboard.md", "notes.md"):
        (tmp_path / name).write_text("of other runs")
    assert run_compare("--tasks", TWO_BY_SEED, "--methods", "random_search", "--runs", "2", "--jobs", "1", "--no-page",
                       "--out", str(tmp_path), "--tables", str(made_tables)) == 0  # fmt: skip
    assert {path.name for path in tmp_path.glob("*.md")} == {"leaderboard.md", "notes.md"}
    assert "of other runs" not in (tmp_path / "leaderboard.md").read_text()
    assert not (tmp_path / "leaderboard.html").exists()


def test_a_budget_below_one_evaluation_says_so(
    made_tables: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run_compare("--tasks", TWO_BY_SEED, "--methods", "random_search", "--budget", "10", "--runs", "2",
                       "--out", str(tmp_path), "--tables", str(made_tables))  # fmt: skip
    assert code == 2
    assert "larger --budget" in capsys.readouterr().err


def test_a_budget_too_small_for_a_method_that_nobody_asked_for_leaves_it_out(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "method_names", lambda: ("random_search", "spos"))
    common = ["--tasks", TWO_BY_SEED, "--budget", "1x", "--runs", "2", "--tables", str(made_tables), "--no-page"]
    assert run_compare(*common, "-v", "--out", str(tmp_path)) == 0
    assert "left out: spos: evaluated nothing" in " ".join(capsys.readouterr().err.split())
    assert run_compare(*common, "--methods", "random_search", "spos", "--out", str(tmp_path)) == 1


def test_live_runs_that_no_table_judges_say_what_was_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    for _ in range(2):  # trained, then answered from the folder
        code = run_compare("--mode", "live", "--tasks", "minatar-ss1/breakout@smoke", "--methods", "random_search",
                           "local_search", "--runs", "1", "--budget", "1x", "--jobs", "1", "--tables",
                           str(tmp_path / "mine"), "--out", str(tmp_path))  # fmt: skip
        said = capsys.readouterr()
        assert code == 0 and "what was chosen" in said.out and "no leaderboard" in said.err
    runs = read_frame(tmp_path / "runs.parquet")
    assert set(runs["method"]) == {"random_search", "local_search"} and set(runs["table"]) == {""}
    assert runs["incumbent"].iloc[0] in said.out


def test_a_table_that_changes_meanwhile_loses_its_own_runs_alone(compared: Path) -> None:
    runs = read_frame(compared / "runs.parquet")
    other = runs[runs["task"] == SINGLE_SEED]
    changed = runs.assign(table=runs["table"].where((runs["task"] != TWO_BY_SEED) | (runs["seed"] > 0), "another"))
    kept, errors = compare._of_one_table(changed)
    assert len(errors) == 1 and TWO_BY_SEED in str(errors[0]) and len(kept) == len(other) > 0
    live, none = compare._of_one_table(changed.assign(mode="live"))
    assert len(live) == len(runs) and not none
    with pytest.raises(TableError, match="changed while it was searched"):
        compare._of_one_table(changed[changed["task"] == TWO_BY_SEED])


def test_a_method_that_a_space_does_not_suit_is_left_out_unless_it_was_asked_for(
    made_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compare, "method_names", lambda: ("random_search", "treecell"))
    common = ["--tasks", TWO_BY_SEED, "--runs", "2", "--tables", str(made_tables), "--no-page", "--jobs", "1"]
    assert run_compare(*common, "-v", "--out", str(tmp_path / "all")) == 0
    said = capsys.readouterr().err
    assert "left out: treecell: TreeCell grows branches, and 'minatar-ss1' has none" in " ".join(said.split())
    assert set(read_frame(tmp_path / "all" / "runs.parquet")["method"]) == {"random_search"}
    assert run_compare(*common, "--methods", "random_search", "treecell", "--out", str(tmp_path / "asked")) == 1
