"""The lane: tickets through Gradio's queue, one in flight, each running whatever job is next.

The server itself posts them over loopback. A job thus belongs to no browser's session, whose pending
events Gradio drops when the tab closes. Tickets are alike, so one that is lost costs nothing.
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
from .worker import GPU, Worker

log = logging.getLogger(__name__)

LANE = "gpu_lane"
"""The endpoint's name, its concurrency limit must be 1."""
IDLE = "idle"
"""The answer of a ticket that found no job."""


def claim_and_run(store: JobStore, worker: Worker, ticket: str, secret: str) -> str:
    """The body of the lane's function: run the next job. Returns the job's id, or "idle" when none waited.

    Raises `RequestError` for a ticket that is not the pump's. The claim is made under the lock, so
    a job is never called running while another one runs.
    """
    if not isinstance(ticket, str) or not hmac.compare_digest(ticket.encode(), secret.encode()):
        raise RequestError("This endpoint is the studio's own; submit jobs through /generate.")
    with GPU:
        if worker.stopping or not worker.can_start():
            return IDLE
        job = store.claim()
        if job is None:
            return IDLE
        worker.run(job)
        return job.id


class Dispatcher(threading.Thread):
    """Posts a ticket whenever a job waits, follows it to its end, repeats. Survives any error."""

    def __init__(self, store: JobStore, base_url: str, secret: str, login: tuple[str, str] | None = None):
        """`base_url`: the server over loopback, e.g. http://127.0.0.1:7860; `login`: if it asks for one."""
        super().__init__(name="pump", daemon=True)
        self._store, self._secret, self._login = store, secret, login
        self._base = base_url.rstrip("/")
        self._stopping = threading.Event()
        self._told = ""
        self._session = secrets.token_hex(8)
        """Gradio keeps a copy of the whole page for each session: one for all tickets, not one for each."""
        self.pause_after_error = 1.0
        """Seconds to wait after a failed ticket; doubled up to eightfold while it goes on."""

    def stop(self, timeout: float = 0.0) -> None:
        """Post no more tickets; waits up to `timeout` seconds for the one in flight, thus for its job."""
        self._stopping.set()
        self._store.wake()
        if self.is_alive() and self is not threading.current_thread():
            self.join(timeout)

    def run(self) -> None:
        failures = 0
        # trust_env=False: a proxy of the environment must not stand between the server and itself.
        with httpx.Client(timeout=httpx.Timeout(10, read=None), trust_env=False) as client:
            while not self._stopping.is_set():
                try:
                    if self._store.wait_for_work(timeout=1.0) and not self._stopping.is_set():
                        self._ticket(client)
                        failures, self._told = 0, ""
                except Exception as error:
                    if self._stopping.is_set():
                        break
                    self._log_once(error)
                    # What the broken session may still have to say is not for the next ticket.
                    self._session = secrets.token_hex(8)
                    self._stopping.wait(self.pause_after_error * min(2**failures, 8))
                    failures += 1

    def _ticket(self, client: httpx.Client) -> None:
        url = f"{self._base}/gradio_api/call/{LANE}"
        ticket = {"data": [self._secret], "session_hash": self._session}
        answer = client.post(url, json=ticket)
        if answer.status_code == 401 and self._login:
            self._log_in(client)
            answer = client.post(url, json=ticket)
        answer.raise_for_status()
        self._follow(client, f"{url}/{answer.json()['event_id']}")

    def _log_in(self, client: httpx.Client) -> None:
        assert self._login is not None
        name, password = self._login
        client.cookies.clear()
        client.post(f"{self._base}/login", data={"username": name, "password": password}).raise_for_status()

    def _follow(self, client: httpx.Client, url: str) -> None:
        """Read the ticket's stream of events to its end; raises when the lane answered with an error."""
        event = ""
        with client.stream("GET", url) as stream:
            stream.raise_for_status()
            for line in stream.iter_lines():
                if self._stopping.is_set():
                    return
                if line.startswith("event:"):
                    event = line[len("event:") :].strip()
                elif line.startswith("data:") and event == "error":
                    raise RuntimeError(f"the lane answered: {_text(line[len('data:') :])}")

    def _log_once(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if text != self._told:
            self._told = text
            log.warning("The lane could not be fed and is tried again (%s)", text)


def _text(data: str) -> str:
    try:
        return str(json.loads(data))[:300]
    except ValueError:
        return data.strip()[:300]
