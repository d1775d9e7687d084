"""The table of all scenarios: name, modes, function. Names are those of the review that defined the test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.modes import RABBITMQ, REDIS, REDIS_DURABLE, REDIS_ONLY, Mode
from chaos.run import Run
from chaos.scenarios import broker, events, monitor, workers


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    modes: Sequence[Mode]
    run: Callable[[Run], None]

    @property
    def fault(self) -> str:
        """What happens, one paragraph."""
        return " ".join((self.run.__doc__ or "").split())


BOTH = (RABBITMQ, REDIS)
ALL = (RABBITMQ, REDIS, REDIS_DURABLE, REDIS_ONLY)
ONLY_REDIS = (REDIS,)

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("0-calm", ALL, workers.run_calm),
    Scenario("a-kill-worker", ALL, workers.kill_worker),
    Scenario("a2-kill-pool", BOTH, workers.kill_pool_process),
    Scenario("b1-kill-recorder", ALL, monitor.kill_recorder),
    Scenario("b2-kill-monitor", ALL, monitor.kill_monitor),
    Scenario("b3-kill-index", ONLY_REDIS, monitor.kill_index),
    Scenario("b4-kill-drain", ONLY_REDIS, monitor.kill_drain),
    Scenario("b5-kill-web-server", BOTH, monitor.kill_web_server),
    Scenario("b6-kill-monitor-minute", (RABBITMQ, REDIS, REDIS_DURABLE), monitor.kill_monitor_for_a_minute),
    Scenario("c-broker-restart", (RABBITMQ, REDIS, REDIS_DURABLE), broker.restart_broker),
    Scenario("c-broker-forgets", (REDIS, REDIS_DURABLE, REDIS_ONLY), broker.restart_broker_without_memory),
    Scenario("c2-kill-broker", BOTH, broker.kill_broker),
    Scenario("d-stop-worker", BOTH, workers.stop_worker),
    Scenario("e-stop-monitor", ONLY_REDIS, monitor.stop_monitor),
    Scenario("e-stop-monitor-dropped", (REDIS, REDIS_DURABLE, REDIS_ONLY), monitor.stop_monitor_and_drop),
    Scenario("f-monitor-down", ALL, monitor.leave_down),
    Scenario("f-monitor-down-long", (RABBITMQ,), monitor.leave_down_long),
    Scenario("f2-planned-restart", BOTH, monitor.restart_monitor),
    Scenario("g-no-worker", BOTH, workers.run_without_worker),
    Scenario("g2-no-events", BOTH, workers.start_without_events),
    Scenario("h-purge", (RABBITMQ, REDIS, REDIS_ONLY), broker.purge),
    Scenario("i-warm-shutdown", (RABBITMQ, REDIS, REDIS_ONLY), workers.shut_down_warmly),
    Scenario("j-twice", ONLY_REDIS, workers.run_twice),
    Scenario("k-clock", BOTH, workers.change_clock),
    Scenario("k2-clock-set-back", BOTH, workers.set_clock_back),
    Scenario("l-doubled", BOTH, events.double_events),
    Scenario("l-shuffled", BOTH, events.shuffle_events),
    Scenario("m-disk-full", ONLY_REDIS, events.fill_disk),
    Scenario("n-network-cut", BOTH, broker.cut_network),
    Scenario("n1-link-down", BOTH, broker.cut_link),
    Scenario("n2-network-slow", BOTH, broker.slow_network),
)
