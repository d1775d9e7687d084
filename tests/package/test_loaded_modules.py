"""Libraries that the processes of a server do not load at their start, because each library needs memory."""

import subprocess
import sys

import pytest

ABSENT = {
    "flower.capture.drain.process": "celery kombu redis amqp asyncio cryptography numpy apsw tantivy click yaml",
    "flower.store.sqlite.text.process": "celery kombu redis amqp asyncio cryptography tantivy zstandard click starlette"
    " hiredis",
    "flower.recorder_process": "cryptography tantivy zstandard starlette uvicorn jinja2 prometheus_client limits"
    " authlib",
    # it sets the number of threads of numpy's library first
    "flower.cli.serve": "numpy tantivy starlette uvicorn jinja2",
    "flower.app": "celery kombu redis amqp cryptography tantivy zstandard jinja2",
}


@pytest.mark.parametrize("module", ABSENT)
def test_a_process_does_not_load(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = set(output.split())
    assert "flower" in loaded
    assert not loaded & set(ABSENT[module].split())
