"""What is trained: a task is a search space, an environment or data set, and a recipe."""

from nasbench_rl.task.base import Environment as Environment
from nasbench_rl.task.base import GameTask as GameTask
from nasbench_rl.task.base import ImageTask as ImageTask
from nasbench_rl.task.base import Task as Task
from nasbench_rl.task.base import get_task as get_task
from nasbench_rl.task.base import register as register
from nasbench_rl.task.base import task_ids as task_ids
