from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_tables import TWO_BY_SEED, made_return, write_made_supernets, write_made_table

from nasbench_rl import BudgetExhausted, cli, get_method, load
from nasbench_rl.build.command import main as build_main
from nasbench_rl.compare import main as compare_main
from nasbench_rl.errors import InvalidValueError, MissingCellError
from nasbench_rl.experiment import Search
from nasbench_rl.pool import run_all
from nasbench_rl.records import PathUpdate
from nasbench_rl.spaces.base import Architecture

WHOLE = 1_000_000
SMOKE = "minatar-ss1/breakout@smoke"


def test_a_replayed_supernet_is_the_stored_one_of_the_search_seed(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    for seed in (0, 1, 4):
        run = bench.start(4 * WHOLE, seed)
        supernet = run.supernet()
        supernet.fit()
        stored = [made_return(bench.task, arch.name, 1000 + seed % 3, 19) for arch in bench.space]
        assert supernet.proxies() == pytest.approx(stored)
        assert run.spent == WHOLE
        assert run.cpu_seconds == pytest.approx(200.0 + 3.0), "the fit and the proxies of the last of 20 fidelities"
    assert bench.supernets().cpu_seconds == pytest.approx(200.0 + 20 * 3.0), "what making them all took"


def test_a_replay_counts_the_cpu_seconds_of_the_proxies_that_are_read(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run = bench.start(WHOLE, 0)
    supernet = run.supernet()
    supernet.fit(score_all=False)
    assert run.cpu_seconds == pytest.approx(200.0)
    with pytest.raises(InvalidValueError, match="score_all=False"):
        supernet.proxies()
    expected = [made_return(bench.task, name, 1000, 19) for name in ("k5-k5", "k1-k2")]
    assert supernet.proxies_of([(5, 5), (1, 2)]) == pytest.approx(expected)
    assert run.cpu_seconds == pytest.approx(200.0 + 3.0 * 2 / 25) and run.spent == WHOLE


@pytest.mark.parametrize(("method", "seconds"), [("spos", 203.0), ("enas", 200.0)])
def test_a_supernet_costs_a_method_what_it_uses_of_it(method: str, seconds: float, made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0)
    get_method(method)(run)
    trained = [point.cpu_seconds for point in run.points]
    assert trained[0] - (trained[2] - trained[0]) / 2 == pytest.approx(seconds), "made trainings cost the same each"


def test_a_live_fit_is_charged_as_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that counts measurements alone: a controller's fit takes none, a listed one those of the end."""
    pytest.importorskip("torch")
    from nasbench_rl.training import supernet

    measured = [0.0]
    before = supernet.measure_proxies

    def counted(net: Any, task: Any, archs: Any, *rest: Any) -> Any:
        measured[0] += len(archs)
        return before(net, task, archs, *rest)

    write_made_supernets(tmp_path, SMOKE, 1)
    smoke = load(SMOKE, mode="live", tables=tmp_path, jobs=1)
    spos = smoke.start(smoke.task.max_fidelity, 0)
    spos.supernet().fit()
    assert spos.cpu_seconds == pytest.approx(200.0 + 3.0), "that of seed 0 is stored"
    monkeypatch.setattr(supernet, "measure_proxies", counted)
    monkeypatch.setattr("time.process_time", lambda: measured[0])
    enas = smoke.start(smoke.task.max_fidelity, 1)
    shared = enas.supernet()
    shared.fit(lambda index, rng: (1, 1), score_all=False)
    assert enas.cpu_seconds == measured[0] == 0
    shared.proxies_of([(1, 1), (2, 2)])
    assert enas.cpu_seconds == measured[0] == 2


def test_a_controller_is_told_the_proxies_of_the_stage_it_is_at(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run, told = bench.start(WHOLE, 0), list[PathUpdate]()
    run.supernet().fit(lambda index, rng: (5, 5), told.append)
    assert [update.index for update in told] == list(range(48, 977)) and told[-1].env_steps == 977 * 1024
    reached = [sum(fidelity <= update.env_steps for fidelity in bench.task.fidelities) for update in told]
    assert reached[0] == 1 and reached[-1] == 20
    expected = [made_return(bench.task, "k5-k5", 1000, count - 1) for count in range(1, 21)]
    assert [update.return_mean for update in told] == pytest.approx([expected[count - 1] for count in reached])


def test_no_proxy_is_heard_of_before_the_fit_has_reached_it(made_tables: Path) -> None:
    """The first of 20 fidelities is 50,000 env steps, which the 49th update of 1,024 reaches."""
    run, sampled, told = load(TWO_BY_SEED, tables=made_tables).start(WHOLE, 0), list[int](), list[PathUpdate]()

    def sample_path(index: int, rng: np.random.Generator) -> tuple[int, int]:
        sampled.append(index)
        return 1, 1

    run.supernet().fit(sample_path, told.append)
    assert sampled == list(range(977)), "every update has its path, heard of or not"
    assert min(update.env_steps for update in told) == 49 * 1024 >= run.task.fidelities[0] > 48 * 1024
    assert "nothing before their first fidelity" in run.approximation


def test_spos_trains_its_top_three_and_charges_supernet_and_trainings(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    run = bench.start(10 * WHOLE, 2)
    get_method("spos")(run)
    proxies = [made_return(bench.task, arch.name, 1002, 19) for arch in bench.space]
    best = [bench.space[int(i)].name for i in np.argsort(proxies)[::-1][:3]]
    assert [point.arch for point in run.points] == best
    assert run.spent == 4 * WHOLE
    assert str(run.incumbent) == max(run.points, key=lambda point: point.score).arch


def test_spos_evolves_where_a_space_is_too_large_to_list(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    listed, evolved = bench.start(4 * WHOLE, 1), bench.start(4 * WHOLE, 1)
    get_method("spos")(listed)
    get_method("spos", full_search=10)(evolved)
    assert {p.arch for p in evolved.points} == {p.arch for p in listed.points}, "25 points are soon all visited"


def test_the_evolution_measures_as_many_as_it_says_and_none_twice(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 1)
    asked: list[str] = []

    def proxies_of(archs: list[Architecture]) -> np.ndarray[Any, np.dtype[np.float64]]:
        asked.extend(arch.name for arch in archs)
        return np.array([run.space.index(arch) for arch in archs], dtype=np.float64)

    method: Any = get_method("spos", population=6, generations=3, parents=2, crossovers=3)
    method._evolve(run, proxies_of)
    assert len(asked) == len(set(asked)) == 18


def test_spos_lists_no_space_that_it_evolves_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A live fit measures nobody then, and the evolution only whom it meets."""
    pytest.importorskip("torch")
    from nasbench_rl.training import supernet

    asked: list[str] = []
    before = supernet.measure_proxies

    def spy(net: Any, task: Any, archs: Any, *rest: Any) -> Any:
        measured = before(net, task, archs, *rest)
        asked.extend(proxy.arch.name for proxy in measured)
        return measured

    monkeypatch.setattr(supernet, "measure_proxies", spy)
    run = load("minatar-ss1/breakout@smoke", mode="live", tables=tmp_path, jobs=1).start(2 * 20_480, 0)
    small = {"population": 2, "generations": 2, "parents": 1, "crossovers": 1}
    get_method("spos", full_search=10, top_k=1, **small)(run)
    assert 1 <= len(asked) == len(set(asked)) <= 4
    assert run.points[-1].arch in asked and run.spent == run.budget


def test_enas_moves_its_controller_towards_what_scores(made_tables: Path) -> None:
    bench = load(TWO_BY_SEED, tables=made_tables)
    for seed in range(3):
        run = bench.start(4 * WHOLE, seed)
        get_method("enas", learning_rate=0.01, children=4, child_updates=1)(run)
        likeliest = bench.space.parse(run.points[0].arch).choices
        assert sum(likeliest) >= 8, "made returns grow with the kernels, whose sum is 6 on average"
        assert run.spent == 4 * WHOLE


def test_enas_s_baseline_is_that_before_the_batch(made_tables: Path) -> None:
    """A baseline that holds the child's own reward would take four fifths of every advantage away."""
    pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    run = load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0)
    learner = _Learner(Enas(children=2, child_updates=1), run, 100)
    seen = []
    for i, reward in enumerate([10.0, 30.0, 50.0, 50.0]):
        learner.sample_path(i, np.random.default_rng(0))
        learner.told(PathUpdate(i, learner.arch.name, 1024 * (i + 1), 1, reward))
        seen.append(learner.baseline)
    assert seen == pytest.approx([0.0, 16.0, 16.0, 0.2 * 16 + 0.8 * 50])


def test_enas_s_advantages_are_over_the_baseline_before_the_batch(made_tables: Path) -> None:
    """The gradient of a batch: rewards 10 and 30 over a baseline of 5, which only then takes in their mean."""
    torch = pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    method = Enas(children=2, child_updates=1, entropy_coef=0.0, init_range=1.0, max_grad_norm=1e6)
    learner = _Learner(method, load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0), 100)
    before, learner.baseline, children = copy.deepcopy(learner.controller), 5.0, []
    for i, reward in enumerate([10.0, 30.0]):
        learner.sample_path(i, np.random.default_rng(0))
        children.append(learner.playing[i])
        learner.told(PathUpdate(i, "", 1024 * (i + 1), 1, reward))
    log_prob, _ = before.log_prob([child.tokens for child in children], torch.stack([c.told for c in children]))
    loss = -(5.0 * log_prob[0] + 25.0 * log_prob[1]) / 2
    expected = torch.autograd.grad(loss, list(before.parameters()))
    for parameter, gradient in zip(learner.controller.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert learner.baseline == pytest.approx(0.2 * 5 + 0.8 * 20)


def test_enas_rewards_the_entropy_of_its_controller(made_tables: Path) -> None:
    """With rewards that are the baseline nothing but the bonus has a gradient."""
    torch = pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    method = Enas(child_updates=1, entropy_coef=2.0, init_range=1.0, max_grad_norm=1e6)
    learner = _Learner(method, load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0), 100)
    before, learner.baseline = copy.deepcopy(learner.controller), 5.0
    children = []
    for i in range(3):
        learner.sample_path(i, np.random.default_rng(0))
        children.append(learner.playing[i])
        learner.told(PathUpdate(i, "", 1024 * (i + 1), 1, 5.0))
    told = torch.stack([child.told for child in children])
    _, entropy = before.log_prob([child.tokens for child in children], told)
    expected = torch.autograd.grad(-2.0 * entropy.mean(), list(before.parameters()))
    for parameter, gradient in zip(learner.controller.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert Enas().entropy_coef == 1e-4, "Table 5"


def test_enas_hears_of_a_child_after_others_have_begun_and_rewards_the_right_one(made_tables: Path) -> None:
    """On games of 2,500 steps, as MinAtar's Freeway, a child's last game ends one or two children later."""
    pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    learner = _Learner(Enas(child_updates=2), load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0), 100)
    sampled = []
    for i in range(6):
        learner.sample_path(i, np.random.default_rng(0))
        sampled.append(learner.playing[i // 2])
    for i, (games, mean) in enumerate([(1.0, 8.0), (3.0, 4.0), (2.0, 7.0), (2.0, 9.0)]):
        learner.told(PathUpdate(i, "", 1024 * (i + 1), games, mean))
    assert learner.batch == [(sampled[0], pytest.approx(5.0)), (sampled[2], pytest.approx(8.0))]
    assert list(learner.playing.values()) == [sampled[4]]


def test_enas_updates_its_controller_every_three_children_of_ten_updates(
    made_tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Table 5: 10 child network epochs, 3 NAS runner timesteps; of 97 children the first four end before any proxy."""
    pytest.importorskip("torch")
    from nasbench_rl_baselines import enas

    batches: list[list[float]] = []
    rates: list[float] = []
    before = enas._Learner._learn

    def counted(self: enas._Learner) -> None:
        batches.append([reward for _, reward in self.batch])
        rates.append(self.optimizer.param_groups[0]["lr"])
        before(self)

    monkeypatch.setattr(enas._Learner, "_learn", counted)
    enas.Enas()(load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0))
    assert [len(batch) for batch in batches] == [3] * 31
    assert rates == pytest.approx([0.5e-3 * (1 + np.cos(np.pi * i / 32)) for i in range(31)])


def test_a_child_that_ends_before_any_proxy_is_left_out_and_moves_no_other_s_reward(made_tables: Path) -> None:
    pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    learner = _Learner(Enas(child_updates=2), load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0), 100)
    for i in range(6):
        learner.sample_path(i, np.random.default_rng(0))
    sampled = dict(learner.playing)
    for i, mean in [(3, 4.0), (4, 7.0), (5, 9.0)]:  # the first child is not heard of, the second in part
        learner.told(PathUpdate(i, "", 1024 * (i + 1), 1.0, mean))
    assert learner.batch == [(sampled[1], 4.0), (sampled[2], pytest.approx(8.0))]


def test_enas_s_controller_is_told_of_the_last_child_and_its_reward(made_tables: Path) -> None:
    """Section 4.2: what it writes next depends on the previous architecture and on its reward."""
    torch = pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    def learner_told(*rewards: float, rate: float = 0.0) -> _Learner:
        run = load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0)
        learner = _Learner(Enas(child_updates=1, learning_rate=rate), run, 100)
        for i, reward in enumerate(rewards):
            learner.sample_path(i, np.random.default_rng(0))
            learner.told(PathUpdate(i, "", 1024 * (i + 1), 1, reward))
        return learner

    first = learner_told()
    assert not first.heard.any(), "nothing was heard of yet"
    low, high = learner_told(5.0, 9.0, 5.0), learner_told(5.0, 9.0, 9.0)
    assert torch.equal(low.heard[:-1], high.heard[:-1]) and (low.heard[-1], high.heard[-1]) == (0.0, 1.0)
    assert low.heard[:-1].view(2, 5).sum(1).tolist() == [1.0, 1.0], "one-hot, a choice a layer"
    written = [learner.probabilities() for learner in (first, low, high)]
    assert all(p.sum() == pytest.approx(1.0) for p in written)
    assert np.abs(written[1] - written[2]).max() > 1e-6, "by the reward alone"
    other = learner_told(5.0, 9.0, 9.0)
    other.heard = other.heard.clone()
    other.heard[:5] = other.heard[:5].roll(1)
    assert np.abs(written[2] - other.probabilities()).max() > 1e-6, "by the architecture alone"
    learned, kept = learner_told(5.0, 9.0, 1.0, rate=0.1), learner_told(5.0, 9.0, 1.0)
    assert learned.controller.told is not None and kept.controller.told is not None
    assert not torch.equal(learned.controller.told.weight, kept.controller.told.weight), (
        "a batch teaches it to use them"
    )


def test_enas_learns_from_a_child_as_it_was_told_before_it(made_tables: Path) -> None:
    torch = pytest.importorskip("torch")
    from nasbench_rl_baselines.enas import Enas, _Learner

    learner = _Learner(Enas(child_updates=1), load(TWO_BY_SEED, tables=made_tables).start(4 * WHOLE, 0), 100)
    before = []
    for i, reward in enumerate([3.0, 8.0]):
        before.append(learner.heard)
        learner.sample_path(i, np.random.default_rng(0))
        learner.told(PathUpdate(i, "", 1024 * (i + 1), 1, reward))
    assert all(torch.equal(child.told, told) for (child, _), told in zip(learner.batch, before, strict=True))
    assert not torch.equal(*before)


def test_reports_name_what_a_stored_table_stands_in_for(made_tables: Path, tmp_path: Path) -> None:
    command = ["--tasks", TWO_BY_SEED, "--methods", "spos", "enas", "eas", "--runs", "2", "--budget", "4x"]
    assert cli.run(compare_main, [*command, "--tables", str(made_tables), "--out", str(tmp_path), "--jobs", "1"]) == 0
    runs = pd.read_parquet(tmp_path / "runs.parquet")
    said = runs.groupby("method")["approximation"].first()
    assert "proxies" in said["enas"] and "inherits" in said["eas"] and said["spos"] == ""
    for name in (
        "summary.md",
        "summary.csv",
        "leaderboard.md",
        "leaderboard.csv",
        "leaderboard.tex",
        "leaderboard.html",
    ):
        text = (tmp_path / name).read_text()
        assert all(sentence in text for sentence in said[["enas", "eas"]]), name
    assert "Changed for a default budget of ten trainings" in (tmp_path / "leaderboard.md").read_text()


def test_a_stored_outcome_counts_as_one_run_however_often_it_is_replayed(made_tables: Path) -> None:
    """The made table has three supernets; controllers that hear one of them share its luck, as replays do."""
    searches = [Search(TWO_BY_SEED, name, 4 * WHOLE, tables=str(made_tables)) for name in ("spos", "enas")]
    runs, failures = run_all(searches, 1, 30, jobs=1)
    seeds = runs.groupby("method")["seed"].unique()
    assert not failures
    for method in ("spos", "enas"):
        assert sorted(seeds[method]) == [1, 2, 3], "search seeds 4 to 30 would repeat these"


def test_too_small_a_budget_charges_nothing(made_tables: Path) -> None:
    run = load(TWO_BY_SEED, tables=made_tables).start(WHOLE - 1, 0)
    with pytest.raises(BudgetExhausted):
        run.supernet().fit()
    assert run.spent == 0
    with pytest.raises(InvalidValueError, match="fit"):
        run.supernet().proxies()


def test_without_a_stored_supernet_the_error_names_the_command(tmp_path: Path) -> None:
    write_made_table(tmp_path, TWO_BY_SEED, 2)
    run = load(TWO_BY_SEED, tables=tmp_path).start(4 * WHOLE, 0)
    with pytest.raises(MissingCellError, match="--supernet"):
        run.supernet().fit()


def test_build_fits_supernets_that_a_live_run_then_replays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke = "minatar-ss1/breakout@smoke"
    command = [smoke, "--supernet", "--tables", str(tmp_path), "--jobs", "1"]
    assert cli.run(build_main, command) == 0
    assert "supernet seed 0 in" in capsys.readouterr().out
    assert cli.run(build_main, command) == 0
    assert "nothing to train" in capsys.readouterr().out
    run = load(smoke, "live", tables=tmp_path).start(20_480, 0)
    supernet = run.supernet()
    supernet.fit()
    assert np.isfinite(supernet.proxies()).all() and run.spent == 20_480


def test_supernets_of_chosen_architectures_make_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(build_main, ["minatar-ss1/breakout@smoke", "--supernet", "--archs", "k1-k1"]) == 2
    assert "--archs" in capsys.readouterr().err
