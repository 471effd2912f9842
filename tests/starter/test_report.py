"""The report: bars, tables, and a page of which one part is renewed without touching the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from webbduck_gradio.starter.evaluation.report import PARTS, bundled, measure, sizes, updated
from webbduck_gradio.starter.evaluation.sections import EvalContext, Row, Section


def test_a_bar_holds_from_its_own_value_on() -> None:
    assert Row.share("scene", 0.95, 0.95).holds
    assert not Row.share("scene", 0.94, 0.95).holds
    assert Row.at_least("PSNR", 29.0, 29, "dB") == Row("PSNR", "29.00 dB", "29 dB", True)


def test_a_section_holds_when_no_bar_is_missed() -> None:
    free, missed = Row("worst", "26 dB"), Row("mean", "28 dB", "29 dB", False)
    assert Section("VAE", [free]).holds
    assert not Section("VAE", [free, missed]).holds
    assert Section("VAE", [missed]).table().splitlines()[2] == "| mean | 28 dB | 29 dB | **no** |"


def test_one_part_is_renewed_and_the_others_stay() -> None:
    page = updated("", Section("One", [Row("a", "1")], "first text"), "| sizes |")
    page = updated(page, Section("Two", [Row("b", "2")], "second text"), "| sizes |")
    page = updated(page, Section("One", [Row("a", "3")], "third text"), "| new sizes |")
    assert page.count("## One") == page.count("## Two") == page.count("## Sizes") == 1
    assert "third text" in page
    assert "second text" in page
    assert "first text" not in page
    assert "| a | 3 |" in page
    assert "| new sizes |" in page
    assert page.index("## One") < page.index("## Two")


def test_the_size_of_the_kit_counts_every_file(tmp_path: Path) -> None:
    models, loras = tmp_path / "checkpoint", tmp_path / "lora"
    (models / "sdxl" / "webbduck-starter" / "vae").mkdir(parents=True)
    (models / "sdxl" / "webbduck-starter" / "vae" / "a").write_bytes(bytes(2_000_000))
    (models / "sdxl" / "mine").mkdir()
    loras.mkdir()
    (loras / "webbduck-starter-ink.safetensors").write_bytes(bytes(500_000))
    context = EvalContext(models / "sdxl" / "webbduck-starter", tmp_path, models=models, loras=loras)
    assert [name for name, _ in bundled(context)] == [
        "checkpoint/sdxl/webbduck-starter",
        "lora/webbduck-starter-ink.safetensors",
    ]
    assert "**2.50 MB** of at most 60" in sizes(context)


def test_the_bundled_kit_is_small(starter_checkpoints: Path) -> None:
    context = EvalContext(
        starter_checkpoints / "sdxl" / "webbduck-starter", Path(), models=starter_checkpoints
    )
    context.loras = starter_checkpoints.parent / "lora"
    files = [file for _, path in bundled(context) for file in ([path] if path.is_file() else path.rglob("*"))]
    assert sum(file.stat().st_size for file in files if file.is_file()) < 60_000_000


@pytest.mark.parametrize("part", ["refiner", "loras", "upscaler", "captioner"])
def test_what_is_not_there_is_not_measured(part: str, tmp_path: Path) -> None:
    context = EvalContext(tmp_path / "none", tmp_path, models=tmp_path, loras=tmp_path)
    assert part in PARTS
    assert measure(part, context) is None
