"""The benchmarks start, and the two that need no browser and no core measure something."""

import pytest

from webbduck_gradio.benchmarks.__main__ import BENCHMARKS, main


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"benchmarks {name}" in capsys.readouterr().out


def test_help_lists_them_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in BENCHMARKS)


def test_catalog_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["catalog", "--loras", "3", "--runs", "1", "--kinds", "2"]) == 0
    cold, _, nothing, replaced = capsys.readouterr().out.splitlines()[2:]
    assert cold.startswith("cold") and cold.endswith("3 headers read")
    assert nothing.endswith("0 headers read") and replaced.endswith("1 headers read")


def test_gallery_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "--images", "8"]) == 0
    assert "8 in 2 runs" in capsys.readouterr().out
