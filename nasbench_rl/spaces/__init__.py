"""Search spaces."""

from nasbench_rl.spaces.base import Architecture as Architecture
from nasbench_rl.spaces.base import SearchSpace as SearchSpace
from nasbench_rl.spaces.base import size_of as size_of
from nasbench_rl.spaces.kernel_choice import KERNEL_SPACES as KERNEL_SPACES
from nasbench_rl.spaces.kernel_choice import NATURE_CNN as NATURE_CNN
from nasbench_rl.spaces.kernel_choice import KernelSpace as KernelSpace
