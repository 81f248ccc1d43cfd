"""The guard of the torch pin: which of oneDNN's kernels run for the layers trained, and that slow ones are refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nasbench_rl._utils import cli
from nasbench_rl.build import kernels as command
from nasbench_rl.build.command import main
from nasbench_rl.errors import NasbenchError
from nasbench_rl.task import get_task
from nasbench_rl.training import bfloat16, networks, nsc_network
from nasbench_rl.training.onednn_kernels import BATCH, MOST_INPUTS, Kernel, Layer, Report, layers_of, parse, report

LAYERS = (Layer(16, 16, 2, height=10, width=10), Layer(40, 7), Layer(4, 5))
CAPTURED = """\
torch 2.13.0+cpu
onednn_verbose,v1,info,oneDNN v3.12.0 (commit 80afa71049cd69a3df32adcccb623b12cd7baa22)
onednn_verbose,v1,info,cpu,runtime:OpenMP,nthr:1
onednn_verbose,v1,info,cpu,isa:Intel AVX2
onednn_verbose,v1,primitive,info,template:operation,engine,primitive,implementation,prop_kind,memory_descriptors,attributes,auxiliary,problem_desc,exec_time
nasbench_rl layer conv 2x2 16 → 16 on 10x10 (float32)
onednn_verbose,v1,primitive,exec,cpu,reorder,jit:blk,undef,src:f32::blocked:acdb::f0 dst:f32::blocked:Acdb16a::f0,attr-scratchpad:user,,16x16x2x2,0.00512695
onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx2,forward_training,src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb16a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user,alg:convolution_direct,mb8_ic16oc16_ih10oh9kh2sh1dh0ph0_iw10ow9kw2sw1dw0pw0,0.0209961
onednn_verbose,v1,primitive,create_nested:cache_miss,cpu,convolution,brg_conv_fwd:avx2,forward_training,src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb16a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user,alg:convolution_direct,mb8_ic16oc16_ih9oh10kh2sh1dh0ph1_iw9ow10kw2sw1dw0pw1,0.406982
onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_bwd:avx2+brg_conv_fwd:avx2,backward_data,src:f32::blocked:acdb::f0 wei:f32:a:blocked:Bcda16b::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user,alg:convolution_direct,mb8_ic16oc16_ih10oh9kh2sh1dh0ph0_iw10ow9kw2sw1dw0pw0,0.0539551
onednn_verbose,v1,primitive,exec,cpu,convolution,jit:avx2,backward_weights,src:f32::blocked:acdb::f0 wei:f32:a:blocked:ABcd8b8a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user,alg:convolution_direct,mb8_ic16oc16_ih10oh9kh2sh1dh0ph0_iw10ow9kw2sw1dw0pw0,0.0288086
nasbench_rl layer dense 40 → 7 (float32)
nasbench_rl layer dense 4 → 5 (float32)
onednn_verbose,v1,primitive,exec,cpu,rnn,ref,forward_training,src_layer:f32::blocked:abc::f0 src_iter:f32::blocked:abcd::f0 wei_layer:f32:a:blocked:abcde:128x128x32x5x1:f0 wei_iter:f32:a:blocked:abcde:160x160x32x5x1:f0 bias:f32:a:blocked:abcd::f0 dst_layer:f32:a:blocked:abc::f0,attr-scratchpad:user,alg:vanilla_lstm direction:unidirectional_left2right,l1t3mb2sic4slc4dhc5dic5,0.0209961
"""  # noqa: E501  (oneDNN's lines as they are; the last is of an nn.LSTM, which torch 2.13 runs by a reference kernel)


def test_what_onednn_writes_is_read() -> None:
    found = parse(CAPTURED, LAYERS)
    assert found.torch == "torch 2.13.0+cpu, Intel AVX2"
    assert found.kernels[LAYERS[0]] == (
        Kernel("reorder", "jit:blk", "undef"),
        Kernel("convolution", "brg_conv_fwd:avx2", "forward_training"),
        Kernel("convolution", "brg_conv_bwd:avx2+brg_conv_fwd:avx2", "backward_data"),
        Kernel("convolution", "jit:avx2", "backward_weights"),
    )
    assert found.kernels[LAYERS[1]] == ()
    assert found.slow == {LAYERS[2]: (Kernel("rnn", "ref", "forward_training"),)}


def test_output_that_lacks_a_layer_is_no_good_news() -> None:
    with pytest.raises(NasbenchError, match="3 layers were to be tried out with oneDNN, and 2 were"):
        parse(CAPTURED.rpartition("nasbench_rl layer")[0], LAYERS)


@pytest.mark.parametrize(
    ("implementation", "slow"),
    [
        ("ref:any", True), ("ref", True), ("ref_int8:any", True), ("conv:any+ref:any", True), ("gemm:ref", True),
        ("jit:avx2", False), ("brgconv_1x1:avx2", False), ("x64:gemm:jit", False), ("simple:any", False),
        ("conv:any+jit:sse41", False), ("brg_conv_bwd:avx2+brg_conv_fwd:avx2", False),
    ],
)  # fmt: skip
def test_reference_kernels_are_told_by_their_names(implementation: str, slow: bool) -> None:
    assert Kernel("convolution", implementation, "backward_data").reference == slow


def recorded(network: torch.nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> set[tuple[Any, ...]]:
    """What a network's layers are called with: inputs, outputs, kernel, stride, padding, height, width, rounded."""
    calls, conv2d, linear = set(), bfloat16.conv2d, bfloat16.linear

    def called(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
        rounded = torch.is_autocast_enabled("cpu")
        if weight.dim() == 2:
            calls.add((weight.shape[1], weight.shape[0], 0, 1, 0, 1, 1, rounded, bias is not None))
            return linear(x, weight, bias)
        outputs, inputs, kernel, _ = weight.shape
        calls.add((inputs, outputs, kernel, stride, padding, *x.shape[2:], rounded, bias is not None))
        return conv2d(x, weight, bias, stride, padding)

    for module, name in ((bfloat16, "conv2d"), (bfloat16, "linear"), (networks, "conv2d")):
        monkeypatch.setattr(module, name, called)
    monkeypatch.setattr(torch.nn.Linear, "forward", lambda self, x: called(x, self.weight, self.bias))  # the two heads
    network(x)
    return calls


def described(layers: list[Layer]) -> set[tuple[Any, ...]]:
    return {
        (one.inputs, one.outputs, one.kernel, one.stride, one.padding, one.height, one.width, one.rounded, one.bias)
        for one in layers
    }


@pytest.mark.parametrize(
    ("id_", "arch"), [("minatar-ss1/breakout@smoke", "k2-k5"), ("atari-ss1/freeway@lite", "k4-k3")]
)
def test_the_layers_of_an_agent(id_: str, arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasbench_rl.training.onednn_kernels.MOST_INPUTS", 1_000_000)
    task = get_task(id_)
    shape = (8, 21, 21, 64) if id_.startswith("atari") else (8, 10, 10, task.environment.channels)
    agent = networks.Agent(task.network(arch), torch.Generator(), task.recipe.autocast)  # type: ignore[attr-defined]
    calls = recorded(agent, torch.zeros(shape, dtype=torch.uint8), monkeypatch)
    layers = layers_of(task, [task.space.parse(arch)])
    assert calls == described([layer for layer in layers if layer.inference])
    assert calls == described([layer for layer in layers if not layer.inference])
    assert {layer.batch for layer in layers} == {8, BATCH}


@pytest.mark.parametrize("id_", ["nsc-chain/emoji@lite", "nsc-multibranch/digits@intense"])
def test_the_layers_of_a_classifier(id_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task: Any = get_task(id_)
    generator = torch.Generator().manual_seed(0)
    archs = [arch for arch in task.space.up_to_depth(2) if task.is_valid(arch)]
    for arch in archs[:: len(archs) // 10]:
        network = nsc_network.NscNetwork(
            arch.choices, task.space.definition, task.image, task.environment.classes, task.recipe, generator, generator
        )
        height, width, channels = task.image
        with monkeypatch.context() as patch, torch.autocast("cpu", torch.bfloat16, enabled=bool(task.recipe.autocast)):
            patch.setattr("nasbench_rl.training.onednn_kernels.MOST_INPUTS", 1_000_000)
            assert recorded(network, torch.zeros(2, channels, height, width), patch) == described(
                layers_of(task, [arch])
            )


def test_wide_layers_are_tried_out_narrow() -> None:
    task = get_task("atari-ss1/breakout@lite")
    assert (
        max(layer.inputs for layer in layers_of(task, [task.space.parse("k1-k1")]) if not layer.kernel) == MOST_INPUTS
    )


TASK = "minatar-ss1/breakout@smoke"


def test_this_torch_has_no_reference_kernels_for_what_is_trained(tmp_path: Path) -> None:
    arguments = ["kernels", TASK, "nsc-chain/digits@lite", "--tables", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "nasbench_rl.build", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"torch {torch.__version__}" in done.stdout and TASK in done.stdout
    if torch.backends.mkldnn.is_available():
        for direction in ("forward", "backward_data", "backward_weights"):
            assert direction in done.stdout


def with_reference(layers: tuple[Layer, ...]) -> Report:
    """A torch that runs the gradient of 5x5 kernels by a reference kernel."""
    fast, slow = (Kernel("convolution", name, "backward_weights") for name in ("jit:avx2", "ref:any"))
    return Report("torch 9.9", {one: (slow if one.kernel == 5 and not one.inference else fast,) for one in layers})


def test_reference_kernels_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "report", with_reference)
    assert cli.run(main, ["kernels", "--tables", str(tmp_path)]) == 2
    said = capsys.readouterr()
    line = "minatar-ss1/breakout@lite: conv 5x5 16 → 16 on 14x14 (bfloat16) runs backward_weights by ref:any"
    assert line in said.err and "torch 9.9" in said.err and said.err.count("\n") == 1
    assert "jit:avx2" in said.out and "ref:any" in said.out


def test_a_build_with_reference_kernels_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began: list[int] = []
    monkeypatch.setattr(command, "report", with_reference)
    monkeypatch.setattr("nasbench_rl.build.train.train_missing", lambda cells, *_: began.append(len(cells)) or 0)
    build = [TASK, "--tables", str(tmp_path), "--archs"]
    assert cli.run(main, [*build, "k1-k1", "k5-k1"]) == 2 and not began
    assert f"{TASK}: conv 5x5" in (said := capsys.readouterr().err) and "--allow-reference" in said
    assert cli.run(main, [*build, "k1-k1"]) == 0 and began == [1]
    assert cli.run(main, [*build, "k5-k1", "--allow-reference"]) == 0 and began == [1, 1]
    assert cli.run(main, [TASK, "--tables", str(tmp_path), "--supernet"]) == 2
    assert f"{TASK}: conv 5x5" in capsys.readouterr().err


def test_a_process_that_fails_says_why() -> None:
    with pytest.raises(NasbenchError, match="could not be tried out.*negative"):
        report((Layer(-3, 2),))
