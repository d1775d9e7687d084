"""Capture: receives events from the broker in batches of checked `Event` records.

protocols          the interface of capture
settings           what capture needs to know, picklable
factory            chooses the source for the broker
redis              source for Redis
rabbitmq           source for RabbitMQ
amqp_frames        parser of AMQP frames
kombu_source       source for all other brokers
connection         broker connections, retry delays, error messages
socket_connection  drains a socket
spill_queue        queue that overflows to disk
receiver           connects a source, the queue and the decoder
decoder            message bodies to events
coerce             lenient conversion of malformed events
enable_events      broadcasts enable_events
"""
