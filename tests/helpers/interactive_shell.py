"""An interactive shell on a pseudo-terminal, for tests of its completion."""

import contextlib
import os
import pty
import re
import select
import signal
import sys
import time
from pathlib import Path

#: Start of each shell without the user's files, with the completion of `flower`.
_STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(flower completion bash)"'),
    "zsh": (["zsh", "-f", "-i"], 'bindkey -e; autoload -U compinit; compinit -u -D; eval "$(flower completion zsh)"'),
    "fish": (["fish", "--no-config", "-i"], "flower completion fish | source"),
}
_TIMEOUT = 90.0


class InteractiveShell:
    """A running shell; a context manager."""

    def __init__(self, name: str, folder: Path) -> None:
        command, setup = _STARTS[name]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        environment = {"PATH": path, "TERM": "dumb", "HOME": str(folder), "LANG": "C.UTF-8"}
        self._pid, self._terminal = pty.fork()
        if not self._pid:  # the child
            os.chdir(folder)
            os.execvpe(command[0], command, environment)
        self._output = ""
        self._send(f"{setup}\n")
        self._send("printf 're%s\\n' ady\n")
        self._read_until(re.compile("ready"))

    def __enter__(self) -> "InteractiveShell":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._terminal)

    def complete(self, line: str) -> list[str]:
        """Type a line and the Tab key; returns the words of the completed line. The shell prints them itself: the line
        becomes the arguments of printf."""
        self._output = ""
        self._send(f"{line}\t")
        self._send("\x01printf '<%s>' \x05 end-of-line\n")
        found = self._read_until(re.compile(r"((?:<[^<>%\r\n]*>)+)<end-of-line>"))
        return re.findall("<([^>]*)>", found[1])

    def _send(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def _read_until(self, pattern: re.Pattern[str]) -> re.Match[str]:
        deadline = time.monotonic() + _TIMEOUT
        while not (found := pattern.search(self._output)):
            remaining = deadline - time.monotonic()
            assert remaining > 0, f"{pattern.pattern} is missing in: {self._output}"
            if select.select([self._terminal], [], [], remaining)[0]:
                self._output += os.read(self._terminal, 65_536).decode("utf-8", "replace")
        return found
