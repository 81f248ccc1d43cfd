"""What is trained: a task is a search space, an environment or data set, and a recipe."""

from nasbench_rl.task.base import Task as Task
from nasbench_rl.task.games import Environment as Environment
from nasbench_rl.task.games import GameTask as GameTask
from nasbench_rl.task.images import ImageTask as ImageTask
from nasbench_rl.task.registry import get_task as get_task
from nasbench_rl.task.registry import register as register
from nasbench_rl.task.registry import task_ids as task_ids
