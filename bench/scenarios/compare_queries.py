"""The same questions to Flower and to Bellflower, which have the same tasks."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from bench.event_feed import Feed, Form, Paced
from bench.event_stream import Workload
from bench.http_timing import ask
from bench.paired_requests import Line, Pair, lines
from bench.results import Bar, Figure, Sample, percentile, single, slow_end
from bench.runner import Bench, stage, wait_until
from bench.systems_under_test import System, wait_idle
from bench.visibility_check import View

#: So many tasks a second, by their times: a hundred thousand are two hours and a half.
PACE = 11.0


@dataclass(slots=True)
class Asked:
    """What one system answered to the questions of one line: in milliseconds, and with how many tasks."""

    milliseconds: list[float] = field(default_factory=list)
    tasks: list[int | None] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


#: By line and way, then by system.
Answers = dict[tuple[str, str], dict[str, Asked]]
Questions = dict[tuple[str, str], list[Pair]]


def compare_queries(bench: Bench) -> Iterator[Figure]:
    workload = Workload(bench.sizes.tasks, pace=PACE, notes=True)
    asked = lines(workload)
    questions = _questions(asked, bench.sizes.pairs)
    answers: Answers = {key: {} for key in questions}
    with Feed(Form("redis", batched=True), workload) as feed:
        for system in bench.systems:
            _ask_all(bench, system, feed, questions, answers)
    for line in asked:
        for way in line.ways:
            yield _figure(line, way, answers[line.name, way])
    yield _alike(answers)


def _questions(asked: tuple[Line, ...], each: int) -> Questions:
    """The first of each kind is to warm up with."""
    chance = random.Random(5)
    return {
        (line.name, way): [make(chance) for _ in range(each + 1)] for line in asked for way, make in line.ways.items()
    }


def _ask_all(bench: Bench, system: System, feed: Feed, questions: Questions, answers: Answers) -> None:
    with stage(system, feed) as at:
        Paced(feed, at.view, system.window).run(lambda events: None)
        wait_until(lambda: at.view.ended(feed.tail), limit=30)
        wait_idle(at.running, calm=2)
        bench.say(f"{system.name}: asking")
        for key, pairs in questions.items():
            answers[key][system.name] = _answered(at.view, system, pairs)
    bench.say(f"{system.name}: {sum(len(each[system.name].errors) for each in answers.values())} errors")


def _answered(view: View, system: System, pairs: list[Pair]) -> Asked:
    asked = Asked()
    for number, pair in enumerate(pairs):
        request = getattr(pair, system.name)
        milliseconds, error, body = ask(view, request)
        if number == 0:
            continue
        if error is not None:
            asked.errors.append(f"{error} ({request.path} {dict(request.parameters)})")
        asked.milliseconds.append(milliseconds)
        asked.tasks.append(None if error is not None else tasks_in(body))
    return asked


def tasks_in(body: bytes) -> int:
    """The table has its tasks under `data`, our own API under `tasks`, Flower's is nothing but tasks."""
    answer = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    for name in ("data", "tasks"):
        if name in answer:
            return len(msgspec.json.decode(answer[name], type=list[msgspec.Raw]))
    return len(answer)


def _figure(line: Line, way: str, answers: dict[str, Asked]) -> Figure:
    # An error of Flower is no merit of ours: then there is nothing to compare with.
    samples = {name: _sample(asked) for name, asked in answers.items() if name != "flower" or not asked.errors}
    return Figure(
        f"beside Flower, {way}: {line.name}",
        "p95 ms",
        samples,
        Bar("faster", ">=", line.faster),
        answers,
        _note(answers),
    )


def _sample(asked: Asked) -> Sample:
    """Whoever answered wrongly has not answered."""
    return single(float("inf")) if asked.errors else slow_end(asked.milliseconds)


def _note(answers: dict[str, Asked]) -> str:
    parts = [f"n {max(len(asked.milliseconds) for asked in answers.values())}"]
    if all(not asked.errors for asked in answers.values()) and len(answers) == 2:
        for percent in (50, 95, 100):
            theirs, ours = (percentile(sorted(answers[n].milliseconds), percent) for n in ("flower", "bellflower"))
            parts.append(f"{'max' if percent == 100 else f'p{percent}'} {theirs:.3g} : {ours:.3g}")
    parts += [f"{name}: {len(a.errors)} errors, {a.errors[0][:120]}" for name, a in answers.items() if a.errors]
    return ", ".join(parts)


def _alike(answers: Answers) -> Figure:
    """A quick answer that leaves tasks out is worth nothing."""
    pairs = [
        (theirs, ours)
        for each in answers.values()
        if len(each) == 2
        for theirs, ours in zip(each["flower"].tasks, each["bellflower"].tasks, strict=True)
        if theirs is not None and ours is not None
    ]
    same = sum(theirs == ours for theirs, ours in pairs)
    share = {"bellflower": single(100 * same / len(pairs))} if pairs else {}
    return Figure("beside Flower: as many tasks in the answer", "%", share, note=f"of {len(pairs)} answers")
