"""Check of the result backend, on a real one."""

from pathlib import Path

import pytest

from flower.doctor.result_backend import check_result_backend
from tests.doctor.conftest import RunCheck, make_examination
from tests.helpers.servers import Redis, free_port


def test_a_readable_backend_is_ok_and_states_what_is_lost_without_result_extended(
    redis_server: Redis, tmp_path: Path, run_check: RunCheck
) -> None:
    examination = make_examination(tmp_path, backend=redis_server.url)
    results = run_check(check_result_backend, examination)
    assert [result.status for result in results] == ["ok", "ok"]
    assert "result_extended is off" in results[1].found
    examination.app.conf.result_extended = True
    assert len(run_check(check_result_backend, examination)) == 1


def test_an_unreachable_backend_is_an_error_without_the_password(tmp_path: Path, run_check: RunCheck) -> None:
    backend = f"redis://:topsecret@127.0.0.1:{free_port()}/0"
    (result,) = run_check(check_result_backend, make_examination(tmp_path, backend=backend))
    assert result.status == "error"
    assert "topsecret" not in result.found
    assert result.action.startswith("Check result_backend")


@pytest.mark.parametrize(("backend", "reason"), [(None, "none is configured"), ("rpc://", "results of rpc://")])
def test_a_backend_that_cannot_be_read_by_the_server_is_skipped(
    tmp_path: Path, run_check: RunCheck, backend: str | None, reason: str
) -> None:
    (result,) = run_check(check_result_backend, make_examination(tmp_path, backend=backend))
    assert result.status == "skipped"
    assert result.found.startswith(reason)
