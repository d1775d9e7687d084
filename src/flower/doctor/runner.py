"""Runs the checks in order, each in a thread with its own time limit: a check that fails or hangs does not stop the
others."""

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Iterable, Iterator

from flower.config import OPTION_FIELDS, OPTION_NAMES
from flower.doctor.examination import Examination
from flower.doctor.models import DoctorCheck, DoctorResult, Outcome, Skipped
from flower.errors import FlowerError
from flower.redaction.settings import mask_urls_in_text

#: Values of secret options that are shorter are not searched for: they would mask parts of words.
_MIN_SECRET_LENGTH = 4


def run_checks(checks: Iterable[DoctorCheck], examination: Examination) -> Iterator[DoctorResult]:
    """The results, each check's as soon as it has ended. Log messages are suppressed and the output of the application
    goes to standard error meanwhile."""
    for check in checks:
        with _without_logs(), contextlib.redirect_stdout(sys.stderr):
            results = list(_run(check, examination))
        yield from results


def _run(check: DoctorCheck, examination: Examination) -> Iterator[DoctorResult]:
    findings: list[Outcome] = []
    started_at = time.monotonic()
    thread = threading.Thread(target=_collect, args=(check, examination, findings), daemon=True)
    thread.start()
    thread.join(check.time_limit)
    found = tuple(findings)
    if thread.is_alive():
        action = "Check for an overloaded host, a firewall that drops packets, or a server that does not respond."
        found = (*found, Outcome("error", f"No result within {check.time_limit:g} s", action))
    seconds = round(time.monotonic() - started_at, 3)
    secrets = _secrets(examination)
    for finding in found:
        yield DoctorResult(
            check=check.name,
            status=finding.status,
            found=_mask(finding.found, secrets),
            action=_mask(finding.action, secrets),
            seconds=seconds,
        )


def _collect(check: DoctorCheck, examination: Examination, findings: list[Outcome]) -> None:
    try:
        findings.extend(check.run(examination))
    except Skipped as reason:
        findings.append(Outcome("skipped", str(reason)))
    except FlowerError as error:
        findings.append(Outcome("error", error.message, error.hint or ""))
    except Exception as error:  # noqa: BLE001  an error of an application or a library is a finding
        findings.append(Outcome("error", f"{type(error).__name__}: {error}"))


def _secrets(examination: Examination) -> list[str]:
    """The values of the secret options, and the passwords in them."""
    config = examination.loaded_config
    if config is None:
        return []
    texts: list[str] = []
    for name in OPTION_NAMES:
        if OPTION_FIELDS[name].metadata["secret"]:
            value = getattr(config, name)
            values = [str(each) for each in value] if isinstance(value, tuple) else [str(value or "")]
            texts += [part for each in values for part in (each, each.partition(":")[2])]
    return sorted({text for text in texts if len(text) >= _MIN_SECRET_LENGTH}, key=len, reverse=True)


def _mask(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "**")
    return mask_urls_in_text(text)


@contextlib.contextmanager
def _without_logs() -> Iterator[None]:
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)
