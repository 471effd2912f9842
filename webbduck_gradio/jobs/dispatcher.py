"""The dispatcher: starts the next job through Gradio's queue.

Jobs are serialised in three places, each for its own reason. *Gradio's queue*: every job passes through one
function with a concurrency limit of 1, so that Gradio itself knows of each running job. The server posts
these calls ("tickets") to itself over loopback, so a job does not belong to a browser session, whose pending
events Gradio drops when the tab closes. Tickets are identical and name no job, so losing one does no harm.
*The job store* (`store`) defines the order: a ticket runs whichever job is next. *The core's thread*
(`Worker`, an executor with one thread) guarantees that no two jobs run at once: Gradio frees its slot when a
client cancels the call although the function still runs. The job is claimed in that thread, too.
"""

from __future__ import annotations

import hmac
import json
import logging
import secrets
import threading

import httpx

from ..errors import RequestError
from .store import JobStore
from .worker import Worker

log = logging.getLogger(__name__)

GPU_ENDPOINT = "gpu_lane"
"""Name of the endpoint, whose concurrency limit must be 1."""
NOT_A_TICKET = "This endpoint is internal to the studio; submit jobs through /generate."
IDLE = "idle"
"""Returned if no job was waiting."""


def run_next_job(worker: Worker, ticket: str, secret: str) -> str:
    """The endpoint's function: run the next job. Returns the job's id, or `IDLE` if none was waiting.

    Raises `RequestError` for a ticket that the dispatcher did not post.
    """
    if not isinstance(ticket, str) or not hmac.compare_digest(ticket.encode(), secret.encode()):
        raise RequestError(NOT_A_TICKET)
    return worker.run_next() or IDLE


class Dispatcher(threading.Thread):
    """Posts a ticket whenever a job is waiting, waits for its end, and repeats. Survives any error."""

    def __init__(self, store: JobStore, base_url: str, secret: str, login: tuple[str, str] | None = None):
        """`base_url`: the server's loopback URL, e.g. http://127.0.0.1:7860; `login`: (user, password)."""
        super().__init__(name="dispatcher", daemon=True)
        self._store, self._secret, self._login = store, secret, login
        self._base = base_url.rstrip("/")
        self._stopping = threading.Event()
        self._last_error = ""
        self._session = secrets.token_hex(8)
        """Shared by all tickets, because Gradio keeps a copy of the whole page for each session."""
        self.pause_after_error = 1.0
        """Seconds to wait after a failed ticket; doubled with each further failure, up to eightfold."""

    def stop(self, timeout: float = 0.0) -> None:
        """Post no more tickets; wait up to `timeout` seconds for the one in flight, and so for its job."""
        self._stopping.set()
        self._store.wake()
        if self.is_alive() and self is not threading.current_thread():
            self.join(timeout)

    def run(self) -> None:
        failures = 0
        # trust_env=False: calls to the server itself must not go through a proxy.
        with httpx.Client(timeout=httpx.Timeout(10, read=None), trust_env=False) as client:
            while not self._stopping.is_set():
                try:
                    if self._store.wait_for_work(timeout=1.0) and not self._stopping.is_set():
                        self._post_ticket(client)
                        failures, self._last_error = 0, ""
                except Exception as error:
                    if self._stopping.is_set():
                        break
                    self._log_once(error)
                    # The next ticket must not receive late events of the failed session.
                    self._session = secrets.token_hex(8)
                    self._stopping.wait(self.pause_after_error * min(2**failures, 8))
                    failures += 1

    def _post_ticket(self, client: httpx.Client) -> None:
        url = f"{self._base}/gradio_api/call/{GPU_ENDPOINT}"
        ticket = {"data": [self._secret], "session_hash": self._session}
        response = client.post(url, json=ticket)
        if response.status_code == 401 and self._login:
            self._log_in(client)
            response = client.post(url, json=ticket)
        response.raise_for_status()
        self._follow(client, f"{url}/{response.json()['event_id']}")

    def _log_in(self, client: httpx.Client) -> None:
        assert self._login is not None
        name, password = self._login
        client.cookies.clear()
        client.post(f"{self._base}/login", data={"username": name, "password": password}).raise_for_status()

    def _follow(self, client: httpx.Client, url: str) -> None:
        """Read the ticket's event stream to its end. Raises `RuntimeError` for an error event."""
        event = ""
        with client.stream("GET", url) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                if self._stopping.is_set():
                    return
                if line.startswith("event:"):
                    event = line[len("event:") :].strip()
                elif line.startswith("data:") and event == "error":
                    raise RuntimeError(f"the endpoint failed: {_text(line[len('data:') :])}")

    def _log_once(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._last_error:
            self._last_error = text
            log.warning("The next job could not be started and will be retried (%s)", text)


def _text(data: str) -> str:
    try:
        return str(json.loads(data))[:300]
    except ValueError:
        return data.strip()[:300]
