"""Capture: receives events from the broker in batches of checked `Event` records.

    protocols          the interface of capture
    settings           what capture needs to know, picklable
    factory            chooses the source for the broker
    redis, rabbitmq (amqp_frames), kombu_source
                       one source each: connect, and bytes → messages
    connection         broker connections, retry delays, error messages
    socket_connection  drains a socket
    spill_queue        queue that overflows to disk
    receiver           connects a source, the queue and the decoder
    decoder, coerce    messages → `Event`
    enable_events      broadcasts enable_events
"""  # fmt: skip
