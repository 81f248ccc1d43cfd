"""Change one behaviour at a time in a copy of the checkout, and show which test notices.

    python tests/campaigns/mutations.py                  # all of them: about ten minutes on two free cores
    python tests/campaigns/mutations.py --only dqn ppo   # those whose name holds one of these words
    python tests/campaigns/mutations.py --list

Each ``Mutation`` is a plausible wrong implementation: the text that it takes the place of has to be in its file exactly
once. Its tests are run first as they stand, where they have to pass, and then on the changed copy, where one has to
fail. Exit code 0 when every change is noticed; 1 when one survives, its text is not found, its tests fail without it,
or they end for another reason than a failed test (an error while collecting, or the time limit).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
METHODS, TRAINING, ENVS = "baselines/nasbench_rl_baselines", "nasbench_rl/training", "nasbench_rl/envs"
UPDATES, SHARING, PPO = (
    "tests/baselines/test_updates.py",
    "tests/benchmark/test_weight_sharing.py",
    "tests/training/test_ppo.py",
)
ENAS = "tests/baselines/test_enas.py"
CONTROLLERS, GAMES = "tests/baselines/test_controllers.py", "tests/training/test_games.py"
CLASSIFIER, KERNELS = "tests/training/test_classifier.py", "tests/spaces/test_kernel_choice.py"
SUPERNET, DARTS = "tests/training/test_supernet.py", "tests/training/test_darts.py"
Q_TABLE, EVOLUTION = "tests/baselines/test_q_table.py", "tests/baselines/test_regularized_evolution.py"
HYPERBAND, HALVING = "tests/baselines/test_hyperband.py", "tests/baselines/test_successive_halving.py"


@dataclass(frozen=True)
class Mutation:
    """One changed behaviour.

    Attributes:
        name: what is wrong with it.
        file: the file, from the root of the checkout.
        old: the text that is replaced; there once.
        new: the text in its place.
        tests: the file of tests that pytest runs.
        select: pytest's ``-k``, which chooses few of them.
    """

    name: str
    file: str
    old: str
    new: str
    tests: str
    select: str


MUTATIONS = (
    Mutation("dqn: no target network", f"{METHODS}/dqn.py",
             "self.target(torch.stack(led_to)).gather", "values_after.detach().gather", UPDATES, "dqn"),
    Mutation("dqn: the target network is renewed at every step", f"{METHODS}/dqn.py",
             "if step % every == 0:", "if step >= 0:", UPDATES, "dqn"),
    Mutation("dqn: the target network is never renewed", f"{METHODS}/dqn.py",
             "if step % every == 0:", "if step < 0:", UPDATES, "dqn"),
    Mutation("dqn: single Q-learning", f"{METHODS}/dqn.py",
             "best = values_after.argmax(", "best = self.target(torch.stack(led_to)).argmax(", UPDATES, "dqn"),
    Mutation("dqn: bootstraps over an episode's end", f"{METHODS}/dqn.py",
             " * torch.tensor(goes_on, dtype=DTYPE)", "", UPDATES, "dqn"),
    Mutation("a2c: gamma is 1", f"{METHODS}/_actor_critic.py",
             "self.method.discount * following", "following", UPDATES, "discounted"),
    Mutation("a2c and meta-a2c: gamma is 1 by default", f"{METHODS}/_actor_critic.py",
             "discount: float = 0.9", "discount: float = 1.0", UPDATES, "discounted"),
    Mutation("a2c: returns run over an episode's end", f"{METHODS}/_actor_critic.py",
             "(0.0 if done else self.method.discount * following)", "self.method.discount * following",
             UPDATES, "discounted"),
    Mutation("a2c: no entropy bonus", f"{METHODS}/_actor_critic.py",
             " - self.method.entropy * entropy", "", UPDATES, "entropy"),
    Mutation("ppo controller: no entropy bonus", f"{METHODS}/ppo.py",
             "(-gain - self.entropy * entropy.mean())", "(-gain)", UPDATES, "entropy"),
    Mutation("ppo controller: no clipping", f"{METHODS}/ppo.py",
             "torch.minimum(ratio * advantages, clipped * advantages)", "(ratio * advantages)", CONTROLLERS, "clipped"),
    Mutation("agents' ppo: no entropy bonus", f"{TRAINING}/ppo.py",
             " - recipe.entropy_coef * entropy", "", PPO, "entropy"),
    Mutation("agents' ppo: GAE without lambda", f"{TRAINING}/ppo.py",
             "recipe.gamma * recipe.gae_lambda * keep[t]", "recipe.gamma * keep[t]", PPO, "advantages"),
    Mutation("agents' ppo: values are not clipped", f"{TRAINING}/ppo.py",
             "old_value + (value - old_value).clamp(-recipe.clip, recipe.clip)", "value", PPO, "clipped"),
    Mutation("agents' ppo: advantages are not normalised", f"{TRAINING}/ppo.py",
             "(advantage - advantage.mean()) / (advantage.std() + 1e-8)", "advantage", PPO, "normalised"),
    Mutation("agents' ppo: rewards are not clipped", f"{TRAINING}/ppo.py",
             "np.sign(step.reward)", "step.reward.copy()", PPO, "sign"),
    Mutation("agents' ppo: a time limit counts as a failure", f"{TRAINING}/ppo.py",
             "reward[row] += recipe.gamma * float(", "reward[row] += 0.0 * float(", PPO, "truncated"),
    Mutation("agents' ppo: rows that the policy did not act in are learned from", f"{TRAINING}/ppo.py",
             "rows = rollout.policy_acted.flatten().nonzero()",
             "rows = torch.ones_like(rollout.policy_acted).flatten().nonzero()", PPO, "masked"),
    Mutation("agents' ppo: the learning rate stays", f"{TRAINING}/ppo.py",
             "recipe.learning_rate * cosine(i / recipe.updates)", "recipe.learning_rate", PPO, "anneals"),
    Mutation("atari: the last frame alone, not the maximum of two", f"{TRAINING}/games/atari.py",
             "life_loss_info=True,", "life_loss_info=True,\n            maxpool=False,", GAMES, "maximum"),
    Mutation("atari: returns of clipped rewards", f"{TRAINING}/games/atari.py",
             "reward_clipping=False", "reward_clipping=True", GAMES, "clipped or raw"),
    Mutation("agents: maps are padded and cut at one corner", f"{TRAINING}/networks.py",
             "(gap // 2, gap - gap // 2) * 2", "(0, gap) * 2", KERNELS, "centre"),
    Mutation("agents: the odd row goes to the other side", f"{TRAINING}/networks.py",
             "(gap // 2, gap - gap // 2) * 2", "(gap - gap // 2, gap // 2) * 2", KERNELS, "centre"),
    Mutation("nsc networks: merged maps are padded at one corner", f"{TRAINING}/nsc_network.py",
             "[(wanted - size) // 2, (wanted - size) - (wanted - size) // 2]", "[0, wanted - size]",
             CLASSIFIER, "merging"),
    Mutation("nsc networks: the activation comes last in a cell", f"{TRAINING}/nsc_network.py",
             "nn.Sequential(nn.ReLU(), glorot_conv(inputs, outputs, kernel, weights), nn.BatchNorm2d(outputs))",
             "nn.Sequential(glorot_conv(inputs, outputs, kernel, weights), nn.BatchNorm2d(outputs), nn.ReLU())",
             CLASSIFIER, "batch_norm"),
    Mutation("nsc networks: dropout while measuring", f"{TRAINING}/nsc_network.py",
             "if self.training and self.dropout > 0:", "if self.dropout > 0:", CLASSIFIER, "dropout"),
    Mutation("nsc environment: an episode may have tau + 1 actions", f"{ENVS}/nsc_env.py",
             "self._steps == self.mdp.tau", "self._steps > self.mdp.tau", "tests/envs/test_nsc_env.py", "maximum"),
    Mutation("nsc environment: a shift is rewarded like a layer", f"{ENVS}/design_mdp.py",
             "self.sigma * accuracy if taken.kind == \"shift\" else accuracy", "accuracy",
             "tests/envs/test_nsc_env.py", "sigma"),
    Mutation("q-learning: the mean of what follows, not the best", f"{METHODS}/_q_table.py",
             "max(row[start:stop])", "sum(row[start:stop]) / (stop - start)", Q_TABLE, "bellman"),
    Mutation("q-learning: epsilon never falls", f"{METHODS}/_q_table.py",
             "models = progress * sum(", "models = 0 * progress * sum(", Q_TABLE, "schedule"),
    Mutation("regularized evolution: the worst dies, not the oldest", f"{METHODS}/regularized_evolution.py",
             "alive.popleft()", "alive.remove(min(alive, key=lambda one: one[1]))", EVOLUTION, "oldest"),
    Mutation("regularized evolution: the worst of a tournament breeds", f"{METHODS}/regularized_evolution.py",
             "parent = max(", "parent = min(", EVOLUTION, "oldest"),
    Mutation("hyperband: brackets are rounded down", f"{METHODS}/hyperband.py",
             "-(-(most + 1) * self.eta**halvings // (halvings + 1))",
             "(most + 1) * self.eta**halvings // (halvings + 1)", HYPERBAND, "brackets"),
    Mutation("successive halving: the worst are promoted", f"{METHODS}/_fidelities.py",
             "scores[arch.name]))[::-1]", "scores[arch.name]))", HALVING, "promotes"),
    Mutation("reinforce: no baseline", f"{METHODS}/_searching.py",
             "advantage = reward - self._value", "advantage = reward", CONTROLLERS, "baseline"),
    Mutation("reinforce: the baseline holds the reward itself", f"{METHODS}/_searching.py",
             "advantage = reward - self._value\n        self._value = self._weight * self._value + "
             "(1 - self._weight) * reward",
             "self._value = self._weight * self._value + (1 - self._weight) * reward\n        "
             "advantage = reward - self._value", CONTROLLERS, "baseline"),
    Mutation("spos: paths in turn, not drawn", f"{TRAINING}/supernet.py",
             "else task.space.sample(path_rng)", "else task.space[i % len(task.space)]", SUPERNET, "uniform"),
    Mutation("supernet: blocks that an update leaves out move on", f"{TRAINING}/ppo.py",
             "optimizer.zero_grad()", "optimizer.zero_grad(set_to_none=False)", SUPERNET, "sampled_path or clipped"),
    Mutation("supernet: all layers share the first one's blocks", f"{TRAINING}/supernet.py",
             "return self.convs[layer][str(kernel)]", "return self.convs[0][str(kernel)]",
             SUPERNET, "sampled_path or stand_alone"),
    Mutation("darts: candidates are weighed alike", f"{TRAINING}/darts.py",
             "torch.softmax(self.temperature * self.alphas, -1)", "torch.softmax(0.0 * self.alphas, -1)",
             DARTS, "one_hot or weighted"),
    Mutation("darts: the temperature divides", f"{TRAINING}/darts.py",
             "self.temperature * self.alphas", "self.alphas / self.temperature", DARTS, "temperature"),
    Mutation("enas: ten children an update of the controller", f"{METHODS}/enas.py",
             "children: int = 3", "children: int = 10", ENAS, "three_children"),
    Mutation("enas: the controller is told nothing", f"{METHODS}/_controller.py",
             "begin = begin + self.context(context)", "begin = begin + 0 * self.context(context)", ENAS, "last_child"),
    Mutation("enas: the reward is not told", f"{METHODS}/enas.py",
             "torch.tensor([self.scale(reward)], dtype=DTYPE)", "torch.zeros(1, dtype=DTYPE)", ENAS, "last_child"),
    Mutation("enas: no entropy bonus", f"{METHODS}/enas.py",
             " + self.method.entropy_coef * entropy", "", ENAS, "entropy"),
    Mutation("enas: the baseline holds the batch's own rewards", f"{METHODS}/enas.py",
             "advantages, keep = rewards - self.baseline, self.method.baseline_momentum\n        "
             "self.baseline = keep * self.baseline + (1 - keep) * float(rewards.mean())",
             "keep = self.method.baseline_momentum\n        "
             "self.baseline = keep * self.baseline + (1 - keep) * float(rewards.mean())\n        "
             "advantages = rewards - self.baseline", ENAS, "advantages"),
    Mutation("tabular enas hears proxies before the fit has reached them", "nasbench_rl/benchmark/weight_sharing.py",
             "if on_update is not None and count:", "if on_update is not None:", SHARING, "no_proxy"),
    Mutation("tabular enas hears the next proxy, not the last", "nasbench_rl/benchmark/weight_sharing.py",
             "scores[count - 1][arch]", "scores[min(count, len(scores) - 1)][arch]", SHARING, "stage"),
)  # fmt: skip


def copy_checkout(to: Path) -> None:
    """Copy what git tracks, and new files that it does not ignore."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def run_tests(copy: Path, file: str, select: str, limit: float) -> tuple[int | None, str]:
    """Run chosen tests on the copy; returns pytest's exit code (None: over the time limit) and what it says."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p",
               "no:randomly", file, "-k", select]  # fmt: skip
    paths = os.pathsep.join([str(copy), str(copy / "baselines")])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout + done.stderr


def imports_the_copy(copy: Path) -> bool:
    """Whether Python finds the packages of the copy there, and not those of an installation."""
    paths = os.pathsep.join([str(copy), str(copy / "baselines")])
    code = "import nasbench_rl, nasbench_rl_baselines as b; print(nasbench_rl.__file__, b.__file__, sep='\\n')"
    command, environment = [sys.executable, "-B", "-c", code], {**os.environ, "PYTHONPATH": paths}
    found = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=True).stdout
    return all(Path(line).resolve().is_relative_to(copy.resolve()) for line in found.splitlines())


def verdict(copy: Path, mutation: Mutation, limit: float) -> tuple[bool, str]:
    """Apply a mutation, run its tests, take it back; whether it was caught, and by which test or why not."""
    path = copy / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.old) != 1:
        return False, f"its text is there {text.count(mutation.old)} times in {mutation.file}"
    try:
        path.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        code, said = run_tests(copy, mutation.tests, mutation.select, limit)
    finally:
        path.write_text(text, encoding="utf-8")
    failed = re.search(r"^FAILED \S+?::(\S+)", said, re.MULTILINE)
    if code == 1 and failed:
        return True, failed[1]
    if code == 0:
        return False, "SURVIVES"
    return False, f"over {limit:g} s" if code is None else f"no failed test: pytest's exit code {code}"


def ill_files(copy: Path, mutations: Sequence[Mutation], limit: float) -> list[str]:
    """The test files whose chosen tests do not pass without any change."""
    found = []
    for file in dict.fromkeys(m.tests for m in mutations):
        select = " or ".join(dict.fromkeys(f"({m.select})" for m in mutations if m.tests == file))
        if run_tests(copy, file, select, 2 * limit)[0] != 0:
            found.append(f"{file} -k {select!r}")
    return found


def main(arguments: Sequence[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="WORD", help="mutations whose name holds one of these")
    parser.add_argument("--limit", type=float, default=300.0, metavar="S", help="seconds for the tests of one (300)")
    parser.add_argument("--list", action="store_true", help="print the names and do nothing")
    options = parser.parse_args(arguments)
    mutations = [m for m in MUTATIONS if not options.only or any(word in m.name for word in options.only)]
    if options.list or not mutations:
        print("\n".join(m.name for m in mutations or MUTATIONS))
        return 0 if options.list else 1
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_checkout(copy)
        if not imports_the_copy(copy):
            print("the copy's packages are not those that Python imports there; nothing can be shown")
            return 1
        print("without any change first …", flush=True)
        if ill := ill_files(copy, mutations, options.limit):
            print("fail without any change:", *ill, sep="\n  ")
            return 1
        width, caught = max(len(m.name) for m in mutations), 0
        for mutation in mutations:
            good, by = verdict(copy, mutation, options.limit)
            caught += good
            print(f"{mutation.name:<{width}}  {'caught by' if good else 'NOT CAUGHT:'} {by}", flush=True)
    print(f"{caught} of {len(mutations)} caught")
    return 0 if caught == len(mutations) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
