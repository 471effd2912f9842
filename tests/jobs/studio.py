"""A true studio server that takes orders on its standard input, for tests that kill it.

    python studio.py FOLDER CHECKPOINTS PORT [painter] [states] [stays]

Each line in is a JSON object {"do": ...}, each line out its answer. With `painter` the core is a
stand-in that paints at once, so that a kill falls on saving and writing as often as on drawing; it
takes a second for each step of a prompt that has the word "slow". With `states` the state after each step is
saved, and with `stays` the painter never makes the last step of a job.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent.parent), str(Path(__file__).resolve().parent)]

from webbduck_gradio.errors import WebbDuckError  # noqa: E402
from webbduck_gradio.gallery.export import export  # noqa: E402
from webbduck_gradio.jobs.unfinished import StateSaver  # noqa: E402
from webbduck_gradio.settings import Settings  # noqa: E402
from webbduck_gradio.ui.studio.preset_store import PresetStore  # noqa: E402


def folders(folder: Path, checkpoints: Path, port: int) -> Settings:
    return Settings(
        checkpoints=checkpoints,
        loras=folder / "lora",
        outputs=folder / "outputs",
        inputs=folder / "inpaint_input",
        port=port,
        preload=False,
    )


def obey(server: Any, order: dict[str, Any]) -> Any:
    services = server.services
    store, trash = services.store, services.trash
    match order["do"]:
        case "submit":
            return services.submit(order["asked"], "generate").id
        case "upscale":
            return services.submit({"image": order["id"], "scale": 2, "upscaler": "Lanczos"}, "upscale").id
        case "cancel":
            return store.cancel(order["id"], order["after_image"]).state
        case "retry":
            return store.retry(order["id"]).id
        case "move":
            return len(store.move(order["id"], order["to"]))
        case "pause":
            return store.pause()
        case "resume":
            return store.resume()
        case "job":
            job = store.get(order["id"])
            at = job.continues_at
            return {
                "state": job.state,
                "status": job.status,
                "images": list(job.images),
                "place": [at.image, at.step] if at else [job.image_index, job.step],
                "can_continue": job.can_continue,
            }
        case "continue":
            return store.continue_job(order["id"]).state
        case "counts":
            return store.counts()
        case "pictures":
            return [each.id for each in services.outputs.images(0, 60)]
        case "thumbnail":
            return str(services.thumbnails.thumbnail(order["id"]))
        case "delete":
            return trash.delete_images(order["ids"]).id
        case "delete run":
            return trash.delete_run(order["run"]).id
        case "restore":
            return trash.restore(order["id"])
        case "empty":
            return trash.empty()
        case "favourite":
            return services.outputs.favourite(order["id"], favourite=order["on"])
        case "preset":
            return len(presets(services).keep_preset(order["name"], {"steps": order["steps"]}))
        case "prompt":
            return len(presets(services).keep_prompt(order["text"], ""))
        case "export":
            return str(export(services.outputs, services.settings, order["ids"]))
        case "LoRA":
            return str(services.registry.edit_lora(order["name"], {"trigger": order["trigger"]}))
    raise ValueError(order)


def presets(services: Any) -> PresetStore:
    return PresetStore(services.settings.data_dir / "shelf.json")


def main() -> None:
    folder, checkpoints, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    if "FAKETIME_TIMESTAMP_FILE" in os.environ:
        # libfaketime 0.9 answers time.sleep with EINVAL where the clock that nobody sets is left alone.
        time.sleep = lambda seconds: select.select([], [], [], seconds) and None  # type: ignore[assignment]
    logging.basicConfig(level=logging.INFO, format="%(name)s %(message)s")
    # Each start of a job has a line, so that one that ran twice is seen.
    logging.getLogger("webbduck_gradio.jobs.worker").setLevel(logging.DEBUG)
    from webbduck_gradio.web.server import StudioServer

    if "states" in sys.argv:
        StateSaver.first_seconds = StateSaver.seconds_between = 0.0
    server = StudioServer(folders(folder, checkpoints, port))
    if "painter" in sys.argv:
        from painter import Painter

        def pace(image: int, step: int, request: Any) -> None:
            if "stays" in sys.argv and (image + 1, step) == (request.num_images, request.steps):
                threading.Event().wait()
            time.sleep(1 if "slow" in request.prompt else 0.005)

        server.services.worker.context.make_generator = lambda: Painter(pace)
    threading.excepthook = lambda failed: logging.error("A thread died", exc_info=failed.exc_value)
    server.start()
    print("ready", flush=True)
    for line in sys.stdin:
        try:
            answer = {"answer": obey(server, json.loads(line))}
        except WebbDuckError as error:
            answer = {"refused": str(error)}
        print(json.dumps(answer), flush=True)
    server.close()


if __name__ == "__main__":
    main()
