"""One PPO update (collect and learn) per space: env steps are 8 games x 128."""

from __future__ import annotations

import numpy as np

repeat = 5  # with two rounds ten samples a commit; asv sees no difference between six and six


class Update:
    """The largest architecture of each space."""

    params = ["minatar-ss1/breakout@lite", "minatar-ss2/breakout@lite", "atari-ss1/breakout@lite",
              "atari-ss2/breakout@lite"]  # fmt: skip
    param_names = ["task"]
    timeout = 300

    def setup(self, task_id: str) -> None:
        try:
            import torch

            from nasbench_rl.task import get_task
            from nasbench_rl.training import ppo
            from nasbench_rl.training.games.make import make_games
            from nasbench_rl.training.networks import Agent
            from nasbench_rl.training.process import tune_process

            task = get_task(task_id)
            self.games = make_games(task, task.recipe.num_envs)
        except ImportError as error:
            raise NotImplementedError(f"needs the extra 'live': {error}") from error
        tune_process()
        self.ppo, self.recipe = ppo, task.recipe
        self.generator = torch.Generator().manual_seed(0)
        self.agent = Agent(task.network(task.space[len(task.space) - 1]), self.generator, task.recipe.autocast)
        self.optimizer = torch.optim.Adam(self.agent.parameters(), 1e-3, fused=True)
        self.rollout = ppo.Rollout.empty(task.recipe, self.games, task.environment.actions, torch.device("cpu"))
        self.curve = ppo.Curve(task.fidelities)
        self.observation = torch.from_numpy(self.games.reset(np.random.SeedSequence(0)))
        self.time_update(task_id)

    def time_update(self, task_id: str) -> None:
        self.observation = self.ppo.collect(
            self.agent, self.games, self.observation, self.rollout, self.recipe, self.generator, self.curve
        )
        self.ppo.update(self.agent, self.optimizer, self.rollout, self.recipe, self.generator)

    def teardown(self, task_id: str) -> None:
        if hasattr(self, "games"):  # asv asks for it after a set-up that was skipped too
            self.games.close()


class UpdateByAutocast(Update):
    """The same with torch's own bfloat16 layers: beside ``Update``, what a CPU without the instructions gains."""

    params = ["minatar-ss1/breakout@lite", "atari-ss1/breakout@lite"]
    time_update = Update.time_update

    def setup(self, task_id: str) -> None:
        try:
            from nasbench_rl.training import bfloat16
        except ImportError as error:
            raise NotImplementedError(f"needs the extra 'live': {error}") from error
        self.bfloat16, self.native = bfloat16, bfloat16.native
        bfloat16.native = lambda: True
        super().setup(task_id)

    def teardown(self, task_id: str) -> None:
        if hasattr(self, "native"):
            self.bfloat16.native = self.native
        super().teardown(task_id)
