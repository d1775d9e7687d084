"""From the broker to batches of events. `opening` chooses the path; `port` is what they share."""
