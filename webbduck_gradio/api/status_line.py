"""What a job does, in one line."""

from __future__ import annotations

from ..jobs.handlers import handler_of
from ..jobs.job import Job


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th ..."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def seconds(value: float) -> str:
    """A readable duration: "0.8 s", "12 s", "3 min 5 s", "2 h 10 min"."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def time_left(value: float) -> str:
    """What a headline says of an estimate: ", about 3 s left"; "" under half a second."""
    whole = round(value)
    return f", about {whole} s left" if 0 < whole < 10 else f", about {seconds(value)} left" if whole else ""


def status_line(job: Job) -> str:
    """The state of a job in one line."""
    count = job.images_asked
    if job.state == "queued":
        place = job.position or 1
        return "Queued, next in line" if place == 1 else f"Queued, {ordinal(place)} in line"
    if job.state == "running":
        if job.cancel_requested:
            return "Stops after this image" if job.cancel_after_image else "Cancelling"
        if job.suspending:
            return "Putting aside after this step"
        if job.status or not job.total:
            return job.status or "Starting"
        parts = [f"Image {job.image_index + 1} of {count}"] if count > 1 else []
        parts += [
            *filter(None, [job.pass_name]),
            f"{handler_of(job.kind).step_name} {job.step} of {job.total}",
        ]
        text = ", ".join([parts[0], *(each[0].lower() + each[1:] for each in parts[1:])])
        if job.seconds_left is not None:
            text += time_left(job.seconds_left)
        return text
    if job.state == "suspended":
        return _put_aside_line(job)
    if job.state == "completed":
        made = "Done" if count <= 1 else f"{len(job.images)} images"
        return made if job.took is None else f"{made} in {seconds(job.took)}"
    return job.status or job.error or job.state.capitalize()


def _put_aside_line(job: Job) -> str:
    at = job.continues_at
    if at is None:
        return job.status
    place = [f"step {at.step} of {at.total}"] if at.step else []
    if job.images_asked > 1:
        place = [f"image {at.image + 1} of {job.images_asked}", *place]
    if not at.step:
        return f"Put aside before {place[0] if place else 'its first step'}"
    return f"Put aside at {', '.join(place)}"
