"""What a drain needs to know, in a form that can be passed to another process."""

import hashlib
from dataclasses import dataclass, fields

from flower.capture.drain.messages import Welcome
from flower.capture.interruption import Interruption
from flower.capture.settings import CaptureSettings

#: The traceback of a drain process that failed, in the folder of its socket.
ERROR_FILE = "error.log"


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """Settings of one drain process. Times are seconds."""

    capture: CaptureSettings
    #: directory for the socket; only its owner may enter it
    folder: str
    version: str
    interruption: Interruption | None = None

    def fits(self, welcome: Welcome) -> bool:
        """Whether a running drain has these settings and this version."""
        return (welcome.version, welcome.settings) == (self.version, self.digest)

    @property
    def digest(self) -> str:
        """Identifies the settings that concern the drain. Contains no password."""
        ignored = {"conf", "redaction", "enable_events", "enable_interval", "drain_linger", "log_level"}
        values = [(each.name, getattr(self.capture, each.name)) for each in fields(self.capture)]
        text = repr(([each for each in values if each[0] not in ignored], sorted(self.capture.conf.items())))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
