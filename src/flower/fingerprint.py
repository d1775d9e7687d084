"""Which failures count as the same: those of one exception class, with the same message once numbers and ids are
masked, raised in the same place of the user's own code."""

import msgspec


class Fingerprint(msgspec.Struct, frozen=True):
    """`id` is 16 hexadecimal digits, the same for the same three parts, in every process and version."""

    id: str
    #: the class, with its module if the text tells it
    exception: str
    #: the message with numbers and ids masked
    message: str
    #: the innermost frame of the user's code, "path/file.py:function"; None if there is no traceback
    frame: str | None
