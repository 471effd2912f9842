"""/free_memory, /device_settings, and what /health says about the device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from running import wait_until


@pytest.fixture(scope="module")
def client(studio) -> Iterator[Client]:
    with_client = Client(studio.url, verbose=False)
    yield with_client
    with_client.close()


def test_memory_is_freed_when_asked_and_the_next_picture_is_the_same(client: Client) -> None:
    quick = {"steps": 2, "seed": 1, "width": 64, "height": 64, "api_name": "/generate"}
    (first,), _ = client.predict("a red duck", **quick)
    health = client.predict(api_name="/health")
    assert (health["device"], health["policy"], health["dtype"]) == ("cpu", "resident", "float32")
    assert health["loaded"] == "webbduck-starter" and 0 < health["memory_used"] < health["memory_total"]
    assert "webbduck-starter" in client.predict(api_name="/free_memory")["freed"]
    assert client.predict(api_name="/health")["in_memory"] == []
    assert client.predict(api_name="/free_memory")["freed"] == []
    (again,), _ = client.predict("a red duck", **quick)
    with open(first, "rb") as one, open(again, "rb") as other:
        # The files differ in their time and job; their pixels stand in the same first chunk of data.
        assert picture_of(one.read()) == picture_of(other.read())


def test_the_memory_policy_is_changed_for_the_next_job(client: Client, studio) -> None:
    kept = studio.settings.data_dir / "device.json"
    before = client.predict(api_name="/device_settings")
    assert (before["memory"], before["compiled"]) == (None, False) and not kept.exists()
    names = [each["name"] for each in before["policies"]]
    assert names == ["resident", "tiled", "offload", "fp8", "group-offload", "leaf-offload"]
    assert all(each["about"] for each in before["policies"])
    assert before["started_with"] == {"memory": None, "compiled": False}
    try:
        changed = client.predict("offload", api_name="/device_settings")
        assert (changed["memory"], changed["compiled"]) == ("offload", False)
        client.predict("a red duck", steps=1, seed=1, width=64, height=64, api_name="/generate")
        health = client.predict(api_name="/health")
        assert (health["memory"], health["policy"]) == ("offload", "offload")
        assert "offload" in kept.read_text()
    finally:
        after = client.predict("automatic", api_name="/device_settings")
    assert (after["memory"], after["policy"]) == (None, "resident")  # at once, as the core is idle
    assert not kept.exists()


def test_an_unknown_policy_is_refused_with_those_that_there_are(client: Client) -> None:
    with pytest.raises(AppError, match=r"memory must be one of: automatic, resident, .*, leaf-offload"):
        client.predict("less", api_name="/device_settings")
    with pytest.raises(AppError, match="compile must be true or false"):
        client.predict("tiled", "yes", api_name="/device_settings")
    assert client.predict(api_name="/health")["memory"] is None


def picture_of(png: bytes) -> bytes:
    return png[png.index(b"IDAT") :]


def test_it_is_refused_while_a_job_runs(client: Client, studio) -> None:
    asked = {"steps": 150, "seed": 1, "wait_for_result": False}
    job = client.predict("a red duck", **asked, api_name="/generate")[1]["job_id"]
    try:
        wait_until(lambda: client.predict(job, api_name="/job")["step"] > 0)
        with pytest.raises(AppError, match="A job is running; free the memory after it has ended"):
            client.predict(api_name="/free_memory")
    finally:
        client.predict(job, api_name="/cancel")
        wait_until(lambda: studio.services.store.running() is None)


def test_the_counter_leaves_lora_tags_out(client: Client) -> None:
    def tokens(text: str) -> int:
        return client.predict(text, api_name="/tokenize")["tokens"]

    assert tokens("a red duck <lora:ink:0.8>") == tokens("a red duck") == 3
