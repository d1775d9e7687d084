"""From the broker to batches of checked events.

    opening    settings → the way that fits
    redis, rabbitmq (frames), generic    one way each: connect, and bytes → messages
    wire, spill, stream    drain a socket at once, keep what came in order, read it in batches
    decode, coerce    messages → `Event`
"""  # fmt: skip
