"""The recorder: reads events, folds them into tasks, and writes these to the store.

loop            main loop: read, fold, write, acknowledge
cached_task     a task in memory, and its events that are not folded yet
parameters      batch sizes, intervals and delays
write_schedule  when to write
status_meter    statistics for the status
"""

from flower.recorder.loop import ObservationSource, Recorder
from flower.recorder.parameters import RecorderTuning

__all__ = ["ObservationSource", "Recorder", "RecorderTuning"]
