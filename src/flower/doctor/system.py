"""Checks of the environment of the process: installed packages, address in a container, descriptors."""

import os
from collections.abc import Iterable

import bellflower_entry
from flower.config import DEFAULT_CONFIG
from flower.descriptor_limit import raise_descriptor_limit
from flower.doctor.examination import Examination
from flower.doctor.models import Outcome
from flower.web.open_connections import LOW_MAX_CONNECTIONS, MAX_CONNECTIONS, max_connections


def check_installation(examination: Examination) -> Iterable[Outcome]:
    """Whether Flower is installed in the same environment, or has damaged the files."""
    folder = os.path.dirname(os.path.abspath(bellflower_entry.__file__))
    problem, can_run = bellflower_entry.find_problem(folder)
    if problem:
        return [Outcome("warning" if can_run else "error", problem, f"Run: {bellflower_entry.REMEDY}")]
    return [Outcome("ok", "All files are present; Flower is not installed beside Bellflower")]


def check_address(examination: Examination) -> Iterable[Outcome]:
    """Whether the address is reachable from outside of a container."""
    config = examination.config
    shown = config.unix_socket or f"{config.address or 'all interfaces'}, port {config.port}"
    is_default = config.address == DEFAULT_CONFIG.address and not config.unix_socket
    if examination.in_container and is_default:
        return [
            Outcome(
                "warning",
                f"{shown}: in a container this address is unreachable from outside",
                "Set FLOWER_ADDRESS=0.0.0.0 and require a sign-in with FLOWER_BASIC_AUTH or another method.",
            )
        ]
    return [Outcome("ok", shown)]


def check_descriptors(examination: Examination) -> Iterable[Outcome]:
    """The limit of open files, raised as the server does."""
    limit = raise_descriptor_limit()
    connections = max_connections(limit)
    text = f"{limit:,} open files: at most {connections:,} connections"
    if connections < LOW_MAX_CONNECTIONS:
        return [
            Outcome("warning", text, "Raise the hard limit: LimitNOFILE= of systemd, ulimits of Docker, or ulimit -Hn.")
        ]
    return [Outcome("ok", text if connections < MAX_CONNECTIONS else f"{limit:,} open files")]
