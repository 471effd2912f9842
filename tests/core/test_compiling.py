"""The compiled UNet: the same pictures, compiled once for all settings, and what is said where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from recorder import Recorder
from test_suspend import Saver

from webbduck_gradio.core import compiling
from webbduck_gradio.core.compiling import Compiling
from webbduck_gradio.core.device_state import DeviceChoice
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.memory_policies import POLICIES
from webbduck_gradio.core.progress import Continuation, GeneratedImage
from webbduck_gradio.errors import CancelledError, SuspendedError
from webbduck_gradio.models.catalog.registry import Checkpoint, Registry
from webbduck_gradio.request import GenerationRequest

LONG = ", ".join(["a red duck on a pond"] * 16)
"""More than one chunk of tokens."""
MANY = {"num_images": 3, "batch_mode": "together"}
PERTURBED = {"pag_scale": 3, "slg_scale": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "wide": {"width": 128, "height": 64},
    "high": {"width": 64, "height": 96},
    "larger": {"width": 128, "height": 128},
    "no guidance": {"cfg": 1},
    "a long prompt": {"prompt": LONG},
    "together": MANY,
    "guidance in part": {"sampler": "Euler", "steps": 6, "guidance_start": 0.3, "ngms": 4.0},
    "PAG and SLG": PERTURBED,
    "FreeU": {"freeu": "on"},
    "all": MANY | PERTURBED | {"freeu": "on", "prompt": LONG, "width": 96},
}


@dataclass
class Compiler:
    """A compiler that leaves everything as it is: what is compiled when is torch's, and no bit may change."""

    graphs: int = 0
    then: Callable[[], None] = field(default=lambda: None)

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs += 1
        self.then()
        return graph.forward


Draw = Callable[..., list[GeneratedImage]]


@pytest.fixture(scope="module")
def drawn(starter: Checkpoint) -> Draw:
    def draw(by: ImageGenerator, request: GenerationRequest, reporter: Recorder | None = None) -> Any:
        return list(by.generate(request, starter, reporter or Recorder()))

    return draw


def pixels(pictures: list[GeneratedImage]) -> list[bytes]:
    return [each.image.tobytes() for each in pictures]


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    made = Compiler()
    monkeypatch.setattr(compiling, "BACKEND", made)
    return made


class Stopped(Recorder):
    """Stops the job as soon as something was compiled."""

    def __init__(self, compiler: Compiler, error: type[Exception]):
        super().__init__()
        self.compiler, self.error, self.before = compiler, error, compiler.graphs

    def check(self) -> None:
        if self.compiler.graphs > self.before:
            raise self.error("Stopped.")


@pytest.fixture(scope="module")
def compiled(registry: Registry, ask: Any, drawn: Draw) -> Iterator[tuple[ImageGenerator, Compiler]]:
    """A generator whose jobs were cancelled and put aside while it compiled, and what compiled all of it."""
    made = Compiler()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling, "BACKEND", made)
        generator = ImageGenerator("cpu", registry, compiled=True)
        with pytest.raises(CancelledError):
            drawn(generator, ask(), Stopped(made, CancelledError))
        assert made.graphs == 1, "a job that is cancelled compiles no further block"
        aside = Stopped(made, SuspendedError)
        with pytest.raises(SuspendedError):
            drawn(generator, ask(), aside)
        assert made.graphs > 1
        assert [step for _, step, _ in aside.steps] == [1], "one that is put aside ends its step before"
        assert any("Compiling" in each for each in aside.texts) and aside.texts[-1] == "Generating"
        yield generator, made


@pytest.mark.parametrize("fields", SETTINGS.values(), ids=SETTINGS)
def test_no_setting_compiles_again_or_is_left_out(compiled, generator, drawn, ask, fields) -> None:
    by, compiler = compiled
    before, request = compiler.graphs, ask(**{"steps": 2} | fields)
    pictures, plain = drawn(by, request), drawn(generator, request)
    assert compiler.graphs == before
    assert pixels(pictures) == pixels(plain)
    assert all(each.facts["compiled"] for each in pictures)
    assert not any("compiled" in each.facts for each in plain)
    assert {each.warnings for each in pictures} == {()}


def test_other_weights_are_used_and_nothing_is_compiled_again(compiled, drawn, ask, starter) -> None:
    generator, compiler = compiled
    unet, before = generator.pipelines.get(starter, lambda text: None).pipe.unet, compiler.graphs
    usual = pixels(drawn(generator, ask()))
    layer = unet.mid_block.attentions[0].transformer_blocks[0].ff.net[2]
    own = layer.weight
    layer.weight = torch.nn.Parameter(own * 2, requires_grad=False)
    replaced = pixels(drawn(generator, ask()))
    layer.weight = own
    kept = own.data
    own.data = kept * 2
    changed = pixels(drawn(generator, ask()))
    own.data = kept
    assert replaced == changed != usual == pixels(drawn(generator, ask()))
    assert compiler.graphs == before


def test_it_is_switched_between_jobs(compiled, drawn, ask, starter) -> None:
    generator, _ = compiled
    blocks = [
        each
        for each in generator.pipelines.get(starter, lambda text: None).pipe.unet.modules()
        if type(each).__name__ in compiling.BLOCKS
    ]
    assert generator.describe()["compiled"] and all("forward" in each.__dict__ for each in blocks)
    generator.choose(DeviceChoice(compiled=False))
    (picture,) = drawn(generator, ask(steps=1))
    assert "compiled" not in picture.facts and not any("forward" in each.__dict__ for each in blocks)
    generator.choose(DeviceChoice(compiled=True))
    (picture,) = drawn(generator, ask(steps=1))
    assert picture.facts["compiled"] and generator.describe()["compile_problem"] is None


def test_a_job_that_goes_on_the_other_way_says_so(compiled, generator, drawn, ask, starter, tmp_path) -> None:
    ways = {"compiled": compiled[0], "uncompiled": generator}
    for begins, ends in (ways, [*ways][::-1]):
        saver = Saver(tmp_path / begins, 1)
        with pytest.raises(SuspendedError):
            drawn(ways[begins], ask(), saver)
        state = Continuation(0, saver.files[-1])
        (same,) = ways[begins].generate(ask(), starter, Recorder(), state)
        (other,) = ways[ends].generate(ask(), starter, Recorder(), state)
        assert same.warnings == ()
        assert [each.partition(";")[0] for each in other.warnings] == [
            f"It was begun {begins} and finished {ends}"
        ]


def test_a_compiler_that_fails_costs_no_job(compiler, registry, generator, drawn, ask) -> None:
    def fail() -> None:
        if compiler.graphs == 2:
            raise OSError(28, "No space left on device")

    compiler.then = fail
    by, request = ImageGenerator("cpu", registry, compiled=True), ask(num_images=2)
    pictures = drawn(by, request)
    assert pixels(pictures) == pixels(drawn(generator, request))
    problem = by.describe()["compile_problem"]
    assert problem and problem.startswith("The compiler failed (OSError)")
    assert [each.warnings for each in pictures] == [(problem,)] * 2
    assert all("compiled" not in each.facts for each in pictures)
    drawn(by, request)
    assert compiler.graphs == 2, "it is not tried again"


def test_memory_that_runs_out_is_no_failure_of_the_compiler(compiler, registry, drawn, ask) -> None:
    def fail() -> None:
        if compiler.graphs == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")

    compiler.then = fail
    by = ImageGenerator("cpu", registry, compiled=True)
    (picture,) = drawn(by, ask())
    assert picture.facts["compiled"] and by.describe()["compile_problem"] is None


def test_which_memory_policies_are_not_compiled_is_said() -> None:
    asked = Compiling("cpu")
    assert [asked.problem(policy) for policy in POLICIES] == [None] * len(POLICIES), "nobody asked for it"
    asked.wanted = True
    said = {policy.name: problem for policy in POLICIES if (problem := asked.problem(policy))}
    assert list(said) == ["fp8", "group-offload", "leaf-offload"]
    for name, problem in said.items():
        assert f"memory policy '{name}'" in problem


@pytest.mark.parametrize("system", ["Linux", "Windows", "Darwin"])
def test_without_a_compiler_it_is_said_what_to_install(monkeypatch, system) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    problem = compiling.missing_tool("cpu")
    assert problem and "C++ compiler" in problem and "install" in problem


def test_without_a_compiler_each_picture_says_so(registry, drawn, ask, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    (picture,) = drawn(ImageGenerator("cpu", registry, compiled=True), ask(steps=1))
    (said,) = picture.warnings
    assert said.startswith("Pictures are not compiled: there is no C++ compiler on this computer")
    assert "compiled" not in picture.facts


def test_without_triton_it_is_said_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr("torch.utils._triton.has_triton", lambda: False)
    assert "Triton" in str(compiling.missing_tool("cuda"))


BROKEN = """
import os, sys
from pathlib import Path
from webbduck_gradio.core.image_generator import ImageGenerator
from webbduck_gradio.core.progress import SilentReporter
from webbduck_gradio.models.admission import build_request
from webbduck_gradio.models.catalog.registry import Registry
from webbduck_gradio.settings import Settings

registry = Registry(Settings(checkpoints=Path(sys.argv[1])))
fields = {"prompt": "a duck", "base_model": "webbduck-starter", "seed": 1, "steps": 1}
fields |= {"width": 64, "height": 64}
request = build_request(registry, fields)
generator = ImageGenerator("cpu", registry, compiled=True, kernels=Path(sys.argv[2]))

def draw():
    (picture,) = generator.generate(request, registry.checkpoint("webbduck-starter"), SilentReporter())
    print(picture.facts.get("compiled"), *picture.warnings)

draw()
os.environ["CXX"] = sys.argv[3]
draw()
"""


@pytest.mark.slow
def test_a_missing_compiler_and_a_broken_one_are_said_with_each_picture(
    starter_checkpoints: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "g++"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    told = subprocess.run(
        [sys.executable, "-c", BROKEN, str(starter_checkpoints), str(tmp_path / "kernels"), str(broken)],
        env={name: value for name, value in os.environ.items() if name != "CXX"} | {"PATH": ""},
        text=True,
        capture_output=True,
    )
    missing, failed = told.stdout.splitlines()[-2:]
    assert missing.startswith("None Pictures are not compiled: there is no C++ compiler on this computer")
    assert failed.startswith("None The compiler failed (InvalidCxxCompiler)"), told.stderr


COMPILED = (
    BROKEN.partition("draw()\nos.environ")[0]
    + """
import numpy
from torch._dynamo.utils import counters

def picture(generator, **changed):
    asked = build_request(registry, fields | {"steps": 4} | changed)
    made = list(generator.generate(asked, registry.checkpoint("webbduck-starter"), SilentReporter()))
    assert not any(each.warnings for each in made), made
    return numpy.stack([numpy.asarray(each.image).astype(int) for each in made])

eager, graphs = ImageGenerator("cpu", registry), []
for changed in ({}, {"width": 96}, {"cfg": 1}, {"num_images": 3, "batch_mode": "together"}, {"pag_scale": 3}):
    apart = numpy.abs(picture(generator, **changed) - picture(eager, **changed))
    assert apart.max() <= 2 and apart.mean() < 0.02, (changed, apart.max(), apart.mean())
    graphs.append(counters["stats"]["unique_graphs"])
print(len(set(graphs)), counters["inductor"]["fxgraph_cache_miss"], counters["inductor"]["fxgraph_cache_hit"])
"""
)


@pytest.mark.slow
def test_the_real_compiler_changes_roundings_only_and_once(starter_checkpoints: Path, tmp_path: Path) -> None:
    """And a second start takes from the folder what the first one compiled."""
    kernels = tmp_path / "kernels"
    env = {name: value for name, value in os.environ.items() if name != "TORCHINDUCTOR_CACHE_DIR"}
    told = []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-c", COMPILED, str(starter_checkpoints), str(kernels)],
            env=env | {"TORCHINDUCTOR_COMPILE_THREADS": "1"},
            text=True,
            capture_output=True,
        )
        assert run.returncode == 0, run.stderr
        told.append([int(each) for each in run.stdout.split()])
    (once, missed, _), (again, missed_again, found) = told
    assert once == again == 1, "compiled again for another setting"
    assert missed > 1 and missed_again == 0 and found == missed
    assert list(kernels.rglob("*.so"))
