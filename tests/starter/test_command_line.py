"""The command line: it explains itself, and what is missing is one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from webbduck_gradio.starter.__main__ import main


def test_help_names_both_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "{train,evaluate}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["train", "export"],
        ["train", "unet"],
        ["train", "decoder", "--base", "nowhere"],
        ["train", "refiner", "--base", "nowhere"],
        ["train", "lora-ink", "--base", "nowhere"],
        ["evaluate", "--checkpoint", "nowhere"],
    ],
)
def test_what_is_missing_is_one_sentence(
    words: list[str], tmp_path: Path, starter_checkpoints: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--work", str(tmp_path), "--threads", "1"]
    if words[0] == "train":
        options += ["--tokenizers", str(starter_checkpoints / "sdxl" / "webbduck-starter")]
    assert main([*words, *options]) == 2
    message = capsys.readouterr().err.strip()
    assert message
    assert "Traceback" not in message
