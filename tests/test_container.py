"""Detection of a container."""

from pathlib import Path

from flower.container import is_in_container


def test_files_environment_and_process_number_show_a_container(tmp_path: Path) -> None:
    assert not is_in_container({}, tmp_path, 7)
    assert is_in_container({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path, 7)
    assert is_in_container({}, tmp_path, 1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".containerenv").touch()
    assert is_in_container({}, tmp_path, 7)
    other = tmp_path / "docker"
    other.mkdir()
    (other / ".dockerenv").touch()
    assert is_in_container({}, other, 7)
