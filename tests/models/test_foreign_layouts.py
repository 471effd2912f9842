"""Other programs' folders: what `read_tree` finds in trees made after their real layouts."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign_trees
import pytest

from webbduck_gradio.models.foreign.folders import Tree
from webbduck_gradio.models.foreign.layouts import default_label, likely_trees, read_tree


def kinds(tree: Tree, top: Path) -> dict[str, list[str]]:
    """Kind -> paths of its folders below `top`, in order."""
    found: dict[str, list[str]] = {}
    for each in tree.folders:
        assert each.origin == tree.label
        found.setdefault(each.kind, []).append(each.path.relative_to(top).as_posix())
    return found


def state(root: Path) -> dict[str, Any]:
    """Everything below a folder that a write would change."""
    return {
        str(path): (
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in [root, *root.rglob("*")]
    }


USUAL = {
    "A1111": {
        "checkpoint": ["models/Stable-diffusion"],
        "lora": ["models/Lora"],
        "vae": ["models/VAE"],
        "embedding": ["embeddings"],
        "upscale": ["models/ESRGAN"],
        "controlnet": ["models/ControlNet"],
        "wildcards": ["extensions/sd-dynamic-prompts/wildcards"],
        "styles": ["styles.csv"],
    },
    "ComfyUI": {
        "checkpoint": ["models/checkpoints"],
        "lora": ["models/loras"],
        "vae": ["models/vae"],
        "embedding": ["models/embeddings"],
        "upscale": ["models/upscale_models"],
        "controlnet": ["models/controlnet"],
        "detect": ["models/ultralytics"],
        "wildcards": ["custom_nodes/ComfyUI-Impact-Pack/wildcards"],
    },
    "Fooocus": {
        "checkpoint": ["models/checkpoints"],
        "lora": ["models/loras"],
        "embedding": ["models/embeddings"],
        "vae": ["models/vae"],
        "upscale": ["models/upscale_models"],
        "controlnet": ["models/controlnet"],
        "wildcards": ["wildcards"],
        "styles": ["sdxl_styles/fooocus.json"],
    },
    "InvokeAI": {"checkpoint": ["models"], "lora": ["models"]},
    "SwarmUI": {
        "checkpoint": ["Models/Stable-Diffusion"],
        "lora": ["Models/Lora"],
        "vae": ["Models/VAE"],
        "embedding": ["Models/Embeddings"],
        "controlnet": ["Models/controlnet"],
        "upscale": ["Models/upscale_models"],
        "wildcards": ["Data/Wildcards"],
    },
    "StabilityMatrix": {
        "checkpoint": ["Data/Models/StableDiffusion", "Data/Packages/ComfyUI/models/checkpoints"],
        "lora": ["Data/Models/Lora", "Data/Models/LyCORIS"],
        "vae": ["Data/Models/VAE"],
        "embedding": ["Data/Models/Embeddings"],
        "upscale": ["Data/Models/RealESRGAN"],
        "controlnet": ["Data/Models/ControlNet"],
        "detect": ["Data/Models/Ultralytics"],
    },
}


@pytest.mark.parametrize("program", USUAL)
def test_usual_layout(tmp_path: Path, program: str) -> None:
    """Under a name that says nothing, and without leaving a trace."""
    root = foreign_trees.PROGRAMS[program](tmp_path / "some folder")
    before = state(root)
    tree = read_tree(root)
    assert (tree.program, tree.label, tree.root, tree.problems) == (program, program, root, ())
    assert kinds(tree, root) == USUAL[program]
    assert read_tree(root, "mine").label == "mine" == read_tree(root, "mine").folders[0].origin
    assert state(root) == before


def test_forge_and_sdnext(tmp_path: Path) -> None:
    assert read_tree(foreign_trees.a1111(tmp_path / "a", forge=True)).program == "Forge"
    sdnext = foreign_trees.a1111(tmp_path / "s")
    foreign_trees.text(sdnext / "installer.py", "")
    (tmp_path / "elsewhere").mkdir()
    foreign_trees.text(
        sdnext / "config.json", {"lora_dir": str(tmp_path / "elsewhere"), "vae_dir": "models/no"}
    )
    tree = read_tree(sdnext)
    assert tree.program == "SD.Next" and tree.problems == ("models/no, named in config.json, is not there.",)
    assert kinds(tree, tmp_path)["lora"] == ["s/models/Lora", "elsewhere"]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("webui-user.sh", "export COMMANDLINE_ARGS=\"--xformers --ckpt-dir '{x}' --lora-dir {y} --api\""),
        ("webui-user.sh", 'export COMMANDLINE_ARGS="--ckpt-dir=\\"{x}\\" --lora-dir=../y"'),
        ("webui-user.sh", "COMMANDLINE_ARGS='--ckpt-dir \"{x}\" --lora-dir ../y'"),
        ("webui-user.bat", 'set COMMANDLINE_ARGS=--medvram --ckpt-dir "{x}" --lora-dir ..\\y'),
        ("webui-user.bat", 'set "COMMANDLINE_ARGS=--ckpt-dir \\"{x}\\" --lora-dir {y}"'),
        (
            "webui-user.bat",
            'set COMMANDLINE_ARGS=--ckpt-dir "{x}"\r\nset COMMANDLINE_ARGS=%COMMANDLINE_ARGS% --lora-dir {y}',
        ),
    ],
)
def test_arguments_of_a1111(tmp_path: Path, file: str, line: str) -> None:
    for name in ("a b", "y", "z"):
        (tmp_path / name).mkdir()
    root = foreign_trees.a1111(tmp_path / "a")
    written = line.format(x=tmp_path / "a b", y=tmp_path / "y")
    foreign_trees.text(root / file, f"#set COMMANDLINE_ARGS=--lora-dir {tmp_path / 'z'}\n{written}\n")
    tree = read_tree(root)
    assert tree.problems == ()
    assert kinds(tree, tmp_path)["checkpoint"] == ["a/models/Stable-diffusion", "a b"]
    assert kinds(tree, tmp_path)["lora"] == ["a/models/Lora", "y"]


def test_forge_with_the_models_of_a1111(tmp_path: Path) -> None:
    a1111 = foreign_trees.a1111(tmp_path / "a")
    forge = foreign_trees.a1111(tmp_path / "f", arguments=f"--forge-ref-a1111-home {a1111}", forge=True)
    found = kinds(read_tree(forge), tmp_path)
    assert found["lora"] == ["f/models/Lora", "a/models/Lora"]
    assert found["styles"] == ["f/styles.csv", "a/styles.csv"]


EXTRA = """
a111:
    base_path: {top}/w
    is_default: true
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora
        models/LyCORIS
    upscale_models: |
        models/ESRGAN
    hypernetworks: models/hypernetworks
mine:
    base_path: ~/not here
    loras: x
plain:
    loras: ../more
    unet: ../w/models/VAE
    diffusion_models: ../w/models/VAE
none:
"""


@pytest.mark.parametrize("alone", [False, True], ids=["in its folder", "the YAML alone"])
def test_yaml_of_comfyui(tmp_path: Path, alone: bool) -> None:
    foreign_trees.a1111(tmp_path / "w")
    (tmp_path / "more").mkdir()
    root = foreign_trees.comfyui(tmp_path / "c", EXTRA.format(top=tmp_path))
    tree = read_tree(root / "extra_model_paths.yaml" if alone else root)
    own = {"lora": ["c/models/loras"], "checkpoint": ["c/models/checkpoints"]} if not alone else {}
    found = kinds(tree, tmp_path)
    assert tree.program == "ComfyUI"
    assert found["lora"] == ["w/models/Lora", *own.get("lora", []), "more"]  # the default ones come first
    assert found["checkpoint"] == ["w/models/Stable-diffusion", *own.get("checkpoint", [])]
    assert found.get("vae", []) == ([] if alone else ["c/models/vae"])
    missing, away = sorted(tree.problems, key=len, reverse=True)
    assert missing == f"{tmp_path}/w/models/LyCORIS, named in extra_model_paths.yaml, is not there."
    assert away == f"{Path.home()}/not here, named in extra_model_paths.yaml, is not there."


def test_comfyui_portable_and_desktop(tmp_path: Path) -> None:
    portable = foreign_trees.comfyui(tmp_path / "ComfyUI_windows_portable", portable=True)
    assert kinds(read_tree(portable), portable)["lora"] == ["ComfyUI/models/loras"]
    desktop = tmp_path / "Documents" / "ComfyUI"
    for folder in ("models/checkpoints", "models/loras", "custom_nodes", "user"):
        (desktop / folder).mkdir(parents=True)
    assert read_tree(desktop).program == "ComfyUI"
    block = f'comfyui_desktop:\n  is_default: "true"\n  base_path: {desktop}\n  loras: models/loras/\n'
    foreign_trees.text(tmp_path / "config" / "extra_models_config.yaml", block)
    assert kinds(read_tree(tmp_path / "config"), desktop) == {"lora": ["models/loras"]}


@pytest.mark.parametrize("as_list", [False, True])
def test_config_of_fooocus(tmp_path: Path, as_list: bool) -> None:
    (tmp_path / "x" / "loras").mkdir(parents=True)
    config = {
        "path_checkpoints": [str(tmp_path / "x")] if as_list else "../x",
        "path_loras": ["../x/loras", "models/loras"] if as_list else str(tmp_path / "x" / "loras"),
        "path_embeddings": "D:\\embeddings",
        "path_vae": 3,
        "default_cfg_scale": 4.0,
    }
    root = foreign_trees.fooocus(tmp_path / "f", config)
    tree = read_tree(root)
    found = kinds(tree, tmp_path)
    assert found["checkpoint"] == ["x"]
    assert found["lora"] == ["x/loras", "f/models/loras"] if as_list else ["x/loras"]
    assert found["embedding"] == ["f/models/embeddings"]
    assert tree.problems == ("D:\\embeddings, named in config.txt, is not on this computer.",)


def test_settings_of_swarmui(tmp_path: Path) -> None:
    (tmp_path / "big disk" / "SD").mkdir(parents=True)
    (tmp_path / "big disk" / "lora").mkdir()  # other capitals than SwarmUI writes
    (tmp_path / "checkpoints").mkdir()
    lines = f"\t#Root path for model files.\n\tModelRoot: Models;{tmp_path}/big disk\n"
    lines += (
        f"\tSDModelFolder: Stable-Diffusion;SD;{tmp_path}/checkpoints\n\tSDVAEFolder: E:\\sModels\\sVAE\n"
    )
    root = foreign_trees.swarmui(tmp_path / "s", lines)
    tree = read_tree(root)
    found = kinds(tree, tmp_path)
    assert found["checkpoint"] == ["s/Models/Stable-Diffusion", "checkpoints", "big disk/SD"]
    assert found["lora"] == ["s/Models/Lora", "big disk/lora"]
    assert tree.problems == ("E:\\Models\\VAE, named in Data/Settings.fds, is not on this computer.",)


def test_models_of_invokeai(tmp_path: Path) -> None:
    """By the database: its names, what it notes, its pictures, and what lies elsewhere."""
    (tmp_path / "mine" / "pictures").mkdir(parents=True)
    root = foreign_trees.invokeai(tmp_path / "i", in_place=tmp_path / "mine")
    checkpoints, loras, in_place = read_tree(root).folders
    (path,) = loras.only or ()
    assert loras.names == {path: "Ink-Wash"}
    assert loras.notes[path] == {
        "trigger": "ink wash",
        "weight": 0.7,
        "description": "Ink",
        "notes": "Trained words: ink wash; sumi-e",
        "base": "sdxl",
    }
    assert loras.pictures[path].read_bytes() == foreign_trees.PNG
    assert list(checkpoints.names.values()) == ["My XL"] and checkpoints.kind == "checkpoint"
    assert (in_place.path, in_place.only, in_place.names, in_place.skip) == (
        tmp_path / "mine",
        {"wash.safetensors"},
        {"wash.safetensors": "Wash"},
        {"pictures"},
    )
    assert checkpoints.skip == {path.split("/")[0], "model_images"}


def test_older_invokeai(tmp_path: Path) -> None:
    root = foreign_trees.invokeai_3(tmp_path / "i")
    assert kinds(read_tree(root), root) == {
        "checkpoint": ["models/sdxl/main"],
        "lora": ["models/sdxl/lora"],
        "embedding": ["models/sd-1/embedding"],
    }


INVOKE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("UPDATE models SET config = json_replace(config, '$.name', 'New') WHERE name = 'Ink/Wash'")
database.commit()
print("written", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("running", [False, True])
def test_a_database_with_a_log_is_left_as_it_is(tmp_path: Path, running: bool) -> None:
    """Also while InvokeAI has it open: the last change is in its log only."""
    root = foreign_trees.invokeai(tmp_path / "i", wal=True)
    database = root / "databases" / "invokeai.db"
    with subprocess.Popen(
        [sys.executable, "-c", INVOKE, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as invoke:
        try:
            assert invoke.stdout is not None and invoke.stdout.readline() == "written\n"
            if not running:
                invoke.communicate("\n")
            before = state(root)
            assert database.with_name("invokeai.db-wal").exists() == running
            assert list(read_tree(root).folders[1].names.values()) == ["New"]
            assert state(root) == before
        finally:
            invoke.kill()


@pytest.mark.parametrize("portable", [False, True])
def test_library_of_stability_matrix(tmp_path: Path, portable: bool) -> None:
    root = foreign_trees.stability_matrix(tmp_path / "m", portable)
    library = root / "Data" if portable else root
    assert kinds(read_tree(root), library)["lora"] == ["Models/Lora", "Models/LyCORIS"]
    (tmp_path / "models" / "Lora").mkdir(parents=True)
    foreign_trees.text(library / "settings.json", {"ModelDirectoryOverride": str(tmp_path / "models")})
    assert kinds(read_tree(root), tmp_path)["lora"][0] == "models/Lora"


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("loras", ["x.safetensors", "sub/y.safetensors"], {"lora": ["."]}),
        ("My Checkpoints", ["x.safetensors"], {"checkpoint": ["."], "lora": ["."]}),
        ("Stable-diffusion", ["x.safetensors"], {"checkpoint": ["."]}),
        ("ai", ["LoRA/x.safetensors", "VAEs/y.pt"], {"lora": ["LoRA"], "vae": ["VAEs"]}),
        ("ai", ["models/loras/x.safetensors"], {"lora": ["models/loras"]}),
        (
            "ai",
            ["x.safetensors", "loras/y.safetensors", "styles_mine.csv"],
            {"checkpoint": ["."], "lora": [".", "loras"], "styles": ["styles_mine.csv"]},
        ),
        ("ai", ["sdxl/x.safetensors", "pony/y.safetensors"], {"checkpoint": ["."], "lora": ["."]}),
        ("ai", [], {"checkpoint": ["."], "lora": ["."]}),
    ],
)
def test_a_folder_of_no_program(
    tmp_path: Path, name: str, files: list[str], expected: dict[str, list[str]]
) -> None:
    root = tmp_path / name
    root.mkdir()
    for file in files:
        foreign_trees.text(root / file, "")
    tree = read_tree(root)
    assert tree.program == "folder" and not tree.problems
    assert {kind: sorted(paths) for kind, paths in kinds(tree, root).items()} == expected
    assert tree.label == name.replace(" ", "-")
    for each in tree.folders:  # what is listed by its own folder is not listed twice
        assert each.path != root or each.skip == {x.split("/")[0] for x in files if x.startswith("loras/")}


@pytest.mark.parametrize(
    ("name", "taken", "label"),
    [
        ("ComfyUI", (), "ComfyUI"),
        ("ComfyUI", ("comfyui", "ComfyUI-2"), "ComfyUI-3"),
        ("my <models>: a/b, c", (), "my-models-a-b-c"),
        ("模型", (), "模型"),
        ("...", (), "models"),
        ("x" * 90, (), "x" * 40),
    ],
)
def test_labels(name: str, taken: tuple[str, ...], label: str) -> None:
    assert default_label(name, taken) == label


MAKERS: dict[str, Callable[[Path], Path]] = {
    "ComfyUI": foreign_trees.comfyui,
    "AI/stable-diffusion-webui-forge": foreign_trees.a1111,
    "Documents/Fooocus": foreign_trees.fooocus,
    "invokeai": foreign_trees.invokeai,
}


def test_likely_places(tmp_path: Path) -> None:
    for name, make in MAKERS.items():
        make(tmp_path / name)
    (tmp_path / "SwarmUI").mkdir()  # of that name only
    library = foreign_trees.stability_matrix(tmp_path / "big" / "library", portable=False)
    foreign_trees.text(
        tmp_path / ".config" / "StabilityMatrix" / "library.json", {"LibraryPath": str(library)}
    )
    foreign_trees.text(tmp_path / ".config" / "ComfyUI" / "extra_models_config.yaml", "a:\n  loras: x\n")
    expected = {*(tmp_path / name for name in MAKERS), library, tmp_path / ".config" / "ComfyUI"}
    found = likely_trees(tmp_path)
    assert set(found) >= expected and tmp_path / "SwarmUI" not in found and len(found) == len(set(found))
    assert likely_trees(tmp_path / "nobody") == [each for each in found if not each.is_relative_to(tmp_path)]
