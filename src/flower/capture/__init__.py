"""Capture: receives events from the broker in batches of checked `Event` records.

protocols          the interface of capture
settings           what capture needs to know, picklable
factory            chooses the source for the broker
redis              source for Redis
redis_subscription  subscribes to events on a socket to Redis
redis_stream       reads the stream of durable events on Redis
merged_capture     publish/subscribe and the stream as one capture
rabbitmq           source for RabbitMQ
amqp_frames        parser of AMQP frames
kombu_source       source for all other brokers
connection         broker connections, retry delays, error messages
socket_connection  drains a socket
spill_queue        queue that overflows to disk
interruption       times in which no events were received
arrival_times      estimates when an event arrived
blocked_publishers  detects that RabbitMQ blocks publishers
reporting_capture  reports disabled events and unreadable messages as gaps
source             the interface of a source
broker_drain       connects to a source and drains it
receiver           connects a source, the queue and the decoder
drain              process that receives from Redis while the recorder restarts
decoder            message bodies to events
unreadable_messages  counts messages that cannot be read
decompression      decompression with a limit of the size
coerce             lenient conversion of malformed events
enable_events      broadcasts enable_events
task_event_monitor  detects workers that send no task events
"""
