"""Pickles that people own: converted to the same numbers, or refused with one sentence and nothing run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from making import vae_file
from pickle_files import attacks, legacy, mutated, pickled, slow_key
from safetensors import safe_open
from safetensors.torch import load_file

from webbduck_gradio.core.pickles import process
from webbduck_gradio.errors import ModelError
from webbduck_gradio.models import conversion
from webbduck_gradio.settings import HOME

MUTANTS = 200
UPSCALER = "webbduck-starter-x2.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pickles")


@pytest.fixture(scope="module")
def canary(place: Path) -> Path:
    return place / "canary"


def embedding(width: int = 2) -> dict[str, torch.Tensor]:
    torch.manual_seed(width)
    return {"clip_l": torch.randn(2, width), "clip_g": torch.randn(2, width + 1)}


@pytest.fixture(scope="module")
def sound(starter_checkpoints: Path, place: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Files as programs write them, under the name `KIND,NAME`, and the weights that are in them."""
    network = load_file(starter_checkpoints / "upscale" / UPSCALER)
    vae = load_file(vae_file(starter_checkpoints / "sdxl" / "webbduck-starter", place / "vae.safetensors"))
    old = torch.randn(3, 768)
    every = {
        str(dtype): torch.arange(6).reshape(2, 3).to(dtype)
        for dtype in (torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool)
    }
    every["float8"] = torch.ones(3).to(torch.float8_e4m3fn)
    every |= {"none": torch.zeros(0, 4), "single": torch.tensor(2.5), "turned": torch.randn(3, 5).T}
    every |= {"twice": every["turned"][0], "parameter": torch.nn.Parameter(torch.ones(2))}
    a1111 = {"string_to_token": {"*": 265}, "string_to_param": {"*": old}, "name": "duck", "step": 500}
    files: dict[str, tuple[Any, dict[str, torch.Tensor]]] = {
        "upscale,ema": ({"params": {}, "params_ema": network, "iter": 5}, network),
        "upscale,module": ({f"module.{name}": each for name, each in network.items()}, network),
        "embedding,sdxl": (embedding() | {"name": "pond"}, embedding()),
        "embedding,a1111": (a1111, {"emb_params": old}),
        "embedding,diffusers": ({"<duck>": old[0]}, {"emb_params": old[0]}),
        "vae,lightning": ({"state_dict": vae | {"loss.logvar": torch.ones(1)}, "epoch": 3}, vae),
        "lora,every": (every, every),
    }
    for name, (value, _) in files.items():
        torch.save(value, place / f"{name}.pt")
        before = {key: each for key, each in value.items() if key != "float8"}  # younger than the old layout
        torch.save(before, place / f"{name},old.pt", _use_new_zipfile_serialization=False)
    return {name: weights for name, (_, weights) in files.items()}


@pytest.fixture(scope="module")
def read(place: Path, canary: Path, sound: object) -> dict[str, dict[str, Any]]:
    """What a sealed process answers to each file, sound, hostile and mutated ones."""
    for number, (write, _) in enumerate(attacks(canary).values()):
        write(place / f"upscale,attack {number}.pt")
    for layout in (True, False):
        torch.save(embedding(4), place / "whole", _use_new_zipfile_serialization=layout)
        data = (place / "whole").read_bytes()
        for seed in range(0, MUTANTS, 2):
            (place / f"embedding,mutant {seed + layout}.pt").write_bytes(mutated(data, seed + layout))
    command = [sys.executable, "-I", str(Path(__file__).with_name("sealed_reader.py")), str(HOME), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {each["name"]: each for each in json.loads(done.stdout)}


def test_sound_files_keep_their_numbers_types_and_names(place, sound, read) -> None:
    for name, weights in sound.items():
        for file in (name, f"{name},old"):
            assert "done" in read[file], read[file]
            found = load_file(place / f"{file}.safetensors")
            younger = {"float8"} if file.endswith(",old") else set()
            assert found.keys() == weights.keys() - younger
            for key in found:
                each = weights[key]
                assert found[key].dtype == each.dtype and found[key].shape == each.shape
                assert torch.equal(found[key].view(-1).view(torch.uint8), bits(each)), (file, key)
    with safe_open(place / "embedding,a1111.safetensors", "pt") as file:
        said = file.metadata()
    assert (said["name"], said["step"]) == ("duck", "500") and len(said["webbduck.source_sha256"]) == 64
    assert read["vae,lightning"]["done"]["left_out"] == ["loss.logvar"]
    assert read["upscale,ema"]["done"]["left_out"] == ["params"]
    assert read["lora,every"]["done"]["copied"] == 1


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().view(-1).view(torch.uint8)


def test_hostile_files_end_in_one_sentence_with_nothing_run_or_written(place, canary, read) -> None:
    expected = {f"upscale,attack {each}": found for each, found in enumerate(attacks(canary).items())}
    assert {
        name: read[file] for file, (name, (_, words)) in expected.items() if words not in said(read[file])
    } == {}
    for number, name in enumerate(attacks(canary)):
        answer = read[f"upscale,attack {number}"]
        assert "\n" not in answer["refused"] and len(answer["refused"]) < 400 and not answer["forbidden"]
        assert (place / f"upscale,attack {number}.safetensors").read_bytes() == b"", name
    assert not canary.exists()
    assert [name for name in Path("/tmp").glob("out") if name.is_file()] == []


def said(answer: dict[str, Any]) -> str:
    """Why a file was refused; a text without words if it was not."""
    return str(answer.get("refused", "-"))


def test_a_mutated_file_is_converted_or_refused(place, read) -> None:
    outcomes = {"done": 0, "refused": 0}
    for seed in range(MUTANTS):
        answer = read[f"embedding,mutant {seed}"]
        outcomes["done" if "done" in answer else "refused"] += 1
        assert not answer["forbidden"]
        if "done" in answer:  # some changes are only other numbers, or other names
            conversion.verdict("embedding", place / f"embedding,mutant {seed}.safetensors")
            load_file(place / f"embedding,mutant {seed}.safetensors")
        else:
            assert "\n" not in answer["refused"] and "Traceback" not in answer["refused"]
    assert outcomes["done"] > 5 and outcomes["refused"] > 100


def test_what_a_sealed_process_may_no_longer_do(read) -> None:
    names = ("write", "read", "start", "fork", "import", "connect", "compile", "remove")
    assert [name for name in names if read[name]["allowed"]] == []


def test_what_takes_for_ever_is_stopped(tmp_path: Path) -> None:
    legacy(tmp_path / "slow.pt", slow_key(60))
    limits = process.Limits(cpu=1)
    with (tmp_path / "out").open("wb") as file, pytest.raises(ModelError, match="far more time or memory"):
        process.convert(tmp_path / "slow.pt", file, "lora", {}, lambda *_: None, limits=limits)
    assert (tmp_path / "out").read_bytes() == b"" and pickled({}).endswith(b".")
