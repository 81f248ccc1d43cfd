"""The pilot behind the `lite` recipe of the NSC tasks: seconds and accuracy of a training, per variant of the recipe.

    python tools/nsc_pilot.py              # every variant on two data sets, one core, about a quarter of an hour
    python tools/nsc_pilot.py --variants dense256,dense256-bf16 --datasets emoji --archs "conv3 maxpool2"

Prepare the data sets first: python -m nasbench_rl.data prepare font-letters emoji
"""

from __future__ import annotations

import argparse
import statistics

from nasbench_rl.recipes_nsc import ClassifierRecipe
from nasbench_rl.spaces.nsc import NscSpace, nsc_space
from nasbench_rl.training.classifier import train
from nasbench_rl.training.load_dataset import load_dataset
from nasbench_rl.training.process import tune_process

BASE = {"train_images": 2000, "held_out_images": 1000}
VARIANTS = {
    "dense1024": ClassifierRecipe("dense1024", **BASE),  # type: ignore[arg-type]
    "dense1024-bf16": ClassifierRecipe("dense1024-bf16", autocast="bf16", **BASE),  # type: ignore[arg-type]
    "dense256": ClassifierRecipe("dense256", dense=256, **BASE),  # type: ignore[arg-type]
    "dense256-bf16": ClassifierRecipe("dense256-bf16", dense=256, autocast="bf16", **BASE),  # type: ignore[arg-type]
}


def sample_by_cost(space: NscSpace, count: int, depth: int = 3) -> list[str]:
    """Chains at the middle of each of ``count`` equal shares of all valid chains sorted by FLOPs at 28x28.

    Their mean time is an estimate of the mean over all of them.
    """
    valid = [arch for arch in space.up_to_depth(depth) if space.is_valid(arch, 28, 28)]
    valid.sort(key=lambda arch: space.size(arch, (28, 28, 1), 26, dense=256).flops)
    return [valid[int((place + 0.5) / count * len(valid))].name for place in range(count)]


def main() -> None:
    """Train every architecture with every variant and print one row each, then means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", default="font-letters,emoji")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--archs", help="chains separated by commas; by default --count of all of depth 3 or less")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tune_process()
    space = nsc_space("nsc-chain")
    archs = options.archs.split(",") if options.archs else sample_by_cost(space, options.count)
    print(f"{'data set':14} {'variant':16} {'architecture':46} {'wall s':>7} {'cpu s':>7} {'valid':>6} {'test':>6}")
    for name in options.datasets.split(","):
        data = load_dataset(name)
        for variant in options.variants.split(","):
            lasts = []
            for arch in archs:
                last = train(space, arch, data, VARIANTS[variant], options.seed)[-1]
                lasts.append(last)
                times = f"{last.wall_seconds:7.1f} {last.cpu_seconds:7.1f}"
                scores = f"{last.validation_accuracy:6.3f} {last.test_accuracy:6.3f}"
                print(f"{name:14} {variant:16} {arch:46} {times} {scores}", flush=True)
            wall, cpu, valid, test = (
                statistics.fmean(getattr(last, field) for last in lasts)
                for field in ("wall_seconds", "cpu_seconds", "validation_accuracy", "test_accuracy")
            )
            print(f"{name:14} {variant:16} {'mean':46} {wall:7.1f} {cpu:7.1f} {valid:6.3f} {test:6.3f}", flush=True)


if __name__ == "__main__":
    main()
