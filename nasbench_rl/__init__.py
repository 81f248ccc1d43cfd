"""nasbench-rl: architecture search with, and for, reinforcement learning, compared on agents that were really trained.

>>> from nasbench_rl import query
>>> query("minatar-ss1/breakout@lite", (5, 5)).task
'minatar-ss1/breakout@lite'
"""

from nasbench_rl._version import __version__ as __version__
from nasbench_rl.benchmark import Benchmark as Benchmark
from nasbench_rl.benchmark import load as load
from nasbench_rl.benchmark import query as query
from nasbench_rl.benchmark import tasks as tasks
from nasbench_rl.errors import BudgetExhausted as BudgetExhausted
from nasbench_rl.errors import NasbenchError as NasbenchError
from nasbench_rl.methods import get_method as get_method
from nasbench_rl.methods import methods as methods
from nasbench_rl.records import Evaluation as Evaluation
from nasbench_rl.run import Run as Run
