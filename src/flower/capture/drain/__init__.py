"""The drain: a process that receives from Redis while the recorder restarts, and keeps what it received until the
recorder has written it.

message_cutter  where the messages in a stream of Redis end
messages        what drain and recorder send to each other
settings        what a drain needs to know, picklable
server          the drain's side: serves one recorder
source          opens connections to Redis without kombu and Celery
connector       entry point of the process that opens the first connection, with kombu and Celery
process         entry point of the process
launcher        finds and starts drains
capture         the recorder's side: implements Capture
"""
