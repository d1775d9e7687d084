"""Tests of fingerprints, with texts as workers send them."""

import asyncio
import re
import time
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flower.fingerprint import (
    compute_failure_ids,
    compute_fingerprint,
    exception_class_id,
    fingerprint_to_int,
    message_id,
    normalize_message,
)

CELERY = """  File "/venv/lib/python3.11/site-packages/celery/app/trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
                 ^^^^^^^^^^^^^^^^^^^^
  File "/venv/lib/python3.11/site-packages/celery/app/trace.py", line 736, in __protected_call__
    return self.run(*args, **kwargs)
"""
PRICE = f"""Traceback (most recent call last):
{CELERY}  File "/srv/shop/orders/tasks.py", line 31, in charge
    return price(article)
           ^^^^^^^^^^^^^^
  File "/srv/shop/catalogue/prices.py", line 8, in price
    raise PriceError(f"no price for article {{article}}")
shop.errors.PriceError: no price for article 7
"""
LIBRARY = f"""Traceback (most recent call last):
{CELERY}  File "/srv/shop/mail/tasks.py", line 12, in send
    smtp.connect(HOST)
  File "/usr/lib/python3.11/smtplib.py", line 341, in connect
    self.sock = self._get_socket(host, port, self.timeout)
  File "/usr/lib/python3.11/socket.py", line 851, in create_connection
    raise exceptions[0]
ConnectionRefusedError: [Errno 111] Connection refused
"""
CHAINED = """Traceback (most recent call last):
  File "/srv/shop/stock.py", line 3, in take
    shelf[article]
    ~~~~~^^^^^^^^^
KeyError: 'A-17'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/shop/orders/tasks.py", line 9, in reserve
    take(article)
  File "/srv/shop/stock.py", line 5, in take
    raise SoldOut(article)
shop.stock.SoldOut: A-17
"""
GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/srv/shop/orders/tasks.py", line 40, in everything
  |     async with asyncio.TaskGroup() as group:
  |   File "/usr/lib/python3.11/asyncio/taskgroups.py", line 145, in __aexit__
  |     raise me from None
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/other.py", line 2, in one
    |     raise ValueError(1)
    | ValueError: 1
    +---------------- 2 ----------------
    | Traceback (most recent call last):
    |   File "/srv/shop/other.py", line 5, in two
    |     raise KeyError("x")
    | KeyError: 'x'
    +------------------------------------
"""
NOTES = """Traceback (most recent call last):
  File "/srv/shop/orders/tasks.py", line 4, in charge
    raise CardDeclined("try another")
shop.errors.CardDeclined: try another
second line of the message
  File "/not/a/frame.py", line 1, in nowhere
a note: customer 4711
"""
SYNTAX = """Traceback (most recent call last):
  File "/srv/shop/plugins.py", line 7, in load
    exec(source)
  File "<string>", line 1
    def (:
        ^
SyntaxError: invalid syntax
"""
RECURSION = """Traceback (most recent call last):
  File "/srv/shop/tree.py", line 2, in walk
    walk(node)
  File "/srv/shop/tree.py", line 2, in walk
    walk(node)
  [Previous line repeated 975 more times]
RecursionError: maximum recursion depth exceeded
"""
WINDOWS = r"""Traceback (most recent call last):
  File "C:\Python311\Lib\site-packages\celery\app\trace.py", line 453, in trace_task
    R = retval = fun(*args, **kwargs)
  File "D:\work\shop\orders\tasks.py", line 3, in charge
    json.loads(text)
  File "C:\Python311\Lib\json\decoder.py", line 355, in raw_decode
    raise JSONDecodeError("Expecting value", s, err.value) from None
json.decoder.JSONDecodeError: Expecting value: line 1 column 1 (char 0)
"""
ALL_LIBRARY = f"""Traceback (most recent call last):
{CELERY}billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 12.
"""
FROZEN = """Traceback (most recent call last):
  File "/srv/shop/load.py", line 3, in plugin
    importlib.import_module(name)
  File "<frozen importlib._bootstrap>", line 1204, in _gcd_import
ModuleNotFoundError: No module named 'shop.plugin_17'
"""

TABLE = [
    # exception, traceback, class, message, frame
    ("PriceError('no price for article 7')", PRICE,
     "shop.errors.PriceError", "no price for article #", "shop/catalogue/prices.py:price"),
    (None, PRICE, "shop.errors.PriceError", "no price for article #", "shop/catalogue/prices.py:price"),
    ("PriceError('no price for article 7')", None, "PriceError", "no price for article #", None),
    ("ValueError('another one')", PRICE, "ValueError", "another one", "shop/catalogue/prices.py:price"),
    ("ConnectionRefusedError(111, 'Connection refused')", LIBRARY,
     "ConnectionRefusedError", "#, 'Connection refused'", "shop/mail/tasks.py:send"),
    ("SoldOut('A-17')", CHAINED, "shop.stock.SoldOut", "A-#", "srv/shop/stock.py:take"),
    ("ExceptionGroup('unhandled errors in a TaskGroup', [ValueError(1), KeyError('x')])", GROUP,
     "ExceptionGroup", "'unhandled errors in a TaskGroup', [ValueError(#), KeyError('x')]",
     "shop/orders/tasks.py:everything"),
    (None, GROUP, "ExceptionGroup", "unhandled errors in a TaskGroup (# sub-exceptions)",
     "shop/orders/tasks.py:everything"),
    (None, NOTES, "shop.errors.CardDeclined", "try another", "shop/orders/tasks.py:charge"),
    ("SyntaxError('invalid syntax', ('<string>', 1, 5, 'def (:', 1, 6))", SYNTAX,
     "SyntaxError", "'invalid syntax', ('<string>', #, #, 'def (:', #, #)", "srv/shop/plugins.py:load"),
    ("RecursionError('maximum recursion depth exceeded')", RECURSION,
     "RecursionError", "maximum recursion depth exceeded", "srv/shop/tree.py:walk"),
    ("JSONDecodeError('Expecting value: line 1 column 1 (char 0)')", WINDOWS,
     "json.decoder.JSONDecodeError", "Expecting value: line # column # (char #)", "shop/orders/tasks.py:charge"),
    ("WorkerLostError('Worker exited prematurely: signal 9 (SIGKILL) Job: 12.')", ALL_LIBRARY,
     "billiard.exceptions.WorkerLostError", "Worker exited prematurely: signal # (SIGKILL) Job: #.",
     "celery/app/trace.py:__protected_call__"),
    ("ModuleNotFoundError(\"No module named 'shop.plugin_17'\")", FROZEN,
     "ModuleNotFoundError", "No module named '<id>'", "srv/shop/load.py:plugin"),
    # truncated, unusual, or not Python
    ("ValueError('no price for article 7 in cata...", None, "ValueError", "no price for article # in", None),
    ("<HTTPError 404: 'Not Found'>", None, "HTTPError", "#: 'Not Found'", None),
    ("<class 'shop.errors.Gone'>", None, "shop.errors.Gone", "", None),
    ("shop.Gone: article 7", None, "shop.Gone", "article #", None),
    ("KeyError(17)", None, "KeyError", "#", None),
    ("KeyError()", None, "KeyError", "", None),
    ('ValueError("it\'s 5 o\'clock")', None, "ValueError", "it's # o'clock", None),
    ("the printer is on fire since 10:00:07", None, "unknown", "the printer is on fire since <time>", None),
    ("Traceback", "goroutine 1 [running]:\nmain.main()\n\t/app/main.go:7 +0x1d\nexit status 2", "Traceback", "", None),
    (None, "panic: runtime error: index out of range [5]\n", "panic", "runtime error: index out of range [#]", None),
    (None, "java.lang.IllegalStateException: no price for 7\n\tat shop.Price.of(Price.java:7)", "unknown", "", None),
    ("", "Traceback (most recent call last):\n", "unknown", "", None),
    ("Größe('zu groß: 7')", None, "Größe", "zu groß: #", None),
    ("\udcff('\ud800 7')", None, "unknown", "\\udcff('\\ud# #')", None),
]  # fmt: skip


@pytest.mark.parametrize(("exception", "text", "name", "message", "frame"), TABLE)
def test_realistic_failures(
    exception: str | None, text: str | None, name: str, message: str, frame: str | None
) -> None:
    found = compute_fingerprint(exception, text)
    assert found is not None
    assert (found.exception, found.message, found.frame) == (name, message, frame)
    assert re.fullmatch("[0-9a-f]{16}", found.id)
    assert fingerprint_to_int(found) == int(found.id, 16)


@pytest.mark.parametrize("nothing", [(None, None), ("", ""), (None, ""), ("", None)])
def test_no_failure_no_fingerprint(nothing: tuple[str | None, str | None]) -> None:
    assert compute_fingerprint(*nothing) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/venvs/a/shop/orders/tasks.py", "/opt/b/shop/orders/tasks.py"),
        ("/srv/releases/20261122/tasks.py", "/srv/releases/20261123/tasks.py"),
        ("/srv/1.2.3/shop/tasks.py", "/srv/1.10.0/shop/tasks.py"),
        ("/srv/5f1c2d3/shop/tasks.py", "/srv/a81bc81b/shop/tasks.py"),
        ("C:\\one\\shop\\orders\\tasks.py", "/two/shop/orders/tasks.py"),
    ],
)
def test_deployment_path_is_ignored(one: str, other: str) -> None:
    text = 'Traceback (most recent call last):\n  File "{}", line {}, in charge\n    pay()\nE: x\n'
    assert compute_fingerprint("E('x')", text.format(one, 5)) == compute_fingerprint("E('x')", text.format(other, 77))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("nothing to mask", "nothing to mask"),
        ("7 of 12 at -3.5 and 1,000,000", "# of # at # and #"),
        ("order 5f1c2d3e-0000-4000-8000-00000000beef is gone", "order <id> is gone"),
        ("order 5F1C2D3E-0000-4000-8000-00000000BEEF.", "order <id>."),
        ("commit deadbeef1 not found", "commit <id> not found"),
        ("a decade of facades defaced", "a decade of facades defaced"),
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "<id>"),
        ("customer cus_Nffrf8eqd9yef4uw1", "customer cus_<id>"),
        ("<Order object at 0x7f3a5c0d1e80>", "<Order object at #>"),
        ("ann.lee+tag@example.co.uk has no card", "<email> has no card"),
        ("at 2026-11-22T10:00:00.123456+00:00 and 2026-11-22 10:00:00,5", "at <time> and <time>"),
        ("at 2026-11-22T10:00:00Z", "at <time>"),
        ("10.1.2.3:6379 refused, so did fe80::1:2 and 2001:db8::8a2e:370:7334", "<ip> refused, so did <ip> and <ip>"),
        ("GET https://api.shop.de/orders/17/items/5f1c2d3e4a?page=2", "GET https://api.shop.de/orders/#/items/<id>?page=#"),
        ("no 'ORD-17' nor \"AB12\" nor 'x9' nor 'shop'", "no '<id>' nor \"<id>\" nor 'x#' nor 'shop'"),
        ("'utf-8' codec can't decode byte 0xff in position 3", "'utf-#' codec can't decode byte # in position #"),
        ("shop.pay.v2 failed", "shop.pay.v# failed"),
        ("१२ und ٣", "# und #"),
    ],
)  # fmt: skip
def test_normalize_message(message: str, expected: str) -> None:
    assert normalize_message(message) == expected


@given(st.integers(), st.integers(), st.uuids(), st.uuids())
def test_numbers_and_ids_are_ignored(one: int, other: int, this: object, that: object) -> None:
    def of(number: int, name: object) -> object:
        return compute_fingerprint(f"E('{number} of {name} is {number}')", PRICE.replace("7", str(abs(number))))

    assert of(one, this) == of(other, that)


PICTURES = """Traceback (most recent call last):
  File "/srv/shop/pictures/tasks.py", line {line}, in thumbnail
    picture = open_picture(path)
  File "/srv/shop/pictures/files.py", line 8, in open_picture
    raise Unreadable(path)
shop.errors.Unreadable: /srv/pictures/{kind}/17.tiff
"""


def test_one_defect_with_many_messages_is_one_group() -> None:
    found = [
        compute_fingerprint(f"Unreadable('/srv/pictures/{kind}/17.tiff')", PICTURES.format(line=line, kind=kind))
        for line, kind in enumerate(("bell", "seed", "pot", "bulb"))
    ]
    assert len({fingerprint.id for fingerprint in found if fingerprint}) == 1
    assert next(fingerprint.message for fingerprint in found if fingerprint) == "/srv/pictures/bell/#.tiff"


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("raise Unreadable(path)", "raise Unreadable(name)"),
        ("in open_picture", "in open_file"),
        ("in thumbnail", "in preview"),
        ("shop.errors.Unreadable", "shop.errors.Broken"),
    ],
)
def test_class_functions_and_source_line_are_significant(part: str, other: str) -> None:
    text = PICTURES.format(line=1, kind="bell")
    one, two = compute_fingerprint(None, text), compute_fingerprint(None, text.replace(part, other))
    assert one is not None
    assert two is not None
    assert one.id != two.id


def test_message_is_significant_without_code_of_the_user() -> None:
    texts = (ALL_LIBRARY, ALL_LIBRARY.replace("SIGKILL", "SIGSEGV"))
    assert len({found.id for text in texts if (found := compute_fingerprint(None, text))}) == 2


def test_message_class_and_frame_are_significant() -> None:
    found = [
        compute_fingerprint("E('a')", PRICE),
        compute_fingerprint("E('b')", PRICE),
        compute_fingerprint("F('a')", PRICE),
        compute_fingerprint("E('a')", LIBRARY),
        compute_fingerprint("E('a')", None),
    ]
    assert len({fingerprint.id for fingerprint in found if fingerprint}) == len(found)


def test_fingerprint_does_not_depend_on_the_version() -> None:
    """Stores contain these numbers: a change is a change of the format."""
    found = compute_fingerprint("PriceError('no price for article 7')", PRICE)
    assert found is not None
    assert found.id == "084b2cd49128851a"
    assert message_id(found.exception, found.message, found.frame) == "ec461d29298a3505"
    assert exception_class_id("shop.errors.PriceError") == 2314025391291584730


anything = st.none() | st.text(alphabet=st.characters(exclude_categories=[])) | st.sampled_from(
    [text for row in TABLE for text in row[:2]]
)  # fmt: skip
cuts = st.tuples(anything, st.integers(0, 900)).map(lambda pair: pair[0] and pair[0][: pair[1]])


@given(anything | cuts, anything | cuts)
def test_fingerprint_of_any_text_is_bounded_and_encodable(exception: str | None, text: str | None) -> None:
    found = compute_fingerprint(exception, text)
    assert (found is None) == (not exception and not text)
    if found is not None:
        "".join((found.id, found.exception, found.message, found.frame or "")).encode()
        assert len(found.exception) <= 200
        assert len(found.message) <= 300
        assert found.frame is None or 0 < len(found.frame) <= 401
        assert 0 < fingerprint_to_int(found) < 2**64
        assert 0 < exception_class_id(found.exception) < 2**64
        ids = (exception_class_id(found.exception), fingerprint_to_int(found))
        assert compute_failure_ids(exception, text) == ids
    else:
        assert compute_failure_ids(exception, text) is None


def test_tracebacks_of_python() -> None:
    def chained() -> None:
        try:
            raise KeyError("inner 5")
        except KeyError as error:
            raise RuntimeError("outer 6") from error

    def grouped() -> None:
        raise ExceptionGroup("some", [ValueError(1), ExceptionGroup("deep", [KeyError(2)])])

    def noted() -> None:
        error = TypeError("wrong\nFile: nowhere")
        error.add_note('  File "x.py", line 1, in y')
        raise error

    for raises, name in ((chained, "RuntimeError"), (grouped, "ExceptionGroup"), (noted, "TypeError")):
        found = compute_fingerprint(None, printed(raises))
        assert found is not None
        assert found.exception == name
        assert found.frame is not None
        assert found.frame.endswith(f"tests/test_fingerprint.py:{raises.__name__}")
    found = compute_fingerprint(None, printed(lambda: asyncio.run(asyncio.wait_for(asyncio.sleep(9), 0))))
    assert found is not None
    assert found.exception == "TimeoutError"


def printed(action: Callable[[], object]) -> str:
    with pytest.raises((RuntimeError, ExceptionGroup, TypeError, TimeoutError)) as caught:
        action()
    return "".join(traceback.format_exception(caught.value))


HEADER = "Traceback (most recent call last):"
HOSTILE = {
    "a's": "a",
    "digits": "1",
    "spaces": " ",
    "lines": "\n",
    "quotes": "'",
    "a quote each word": "'a1",
    "dots": "a.",
    "mails": "a@",
    "colons": "1:",
    "hex": "0x",
    "brackets": "<(",
    "dashes": "-1",
    "headers": f"{HEADER}\n",
    "headers without an end": "Traceback (most recent call last)",
    "groups": f"  + Exception Group {HEADER}\n",
    "frames": '  File "/a/b.py", line 1, in f\n',
    "library frames": '  File "/usr/lib/python3.11/b.py", line 1, in f\n',
    "frames without an end": '  File "',
    "surrogates": "\ud800",
    "wide": "ß1",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_long_text_is_processed_quickly(piece: str) -> None:
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    times = []
    for _ in range(3):
        start = time.process_time()
        compute_fingerprint(text, text)
        compute_fingerprint(f"E('{text}", f"{HEADER}\n{text}")
        times.append((time.process_time() - start) / 2)
    assert min(times) < 0.25  # some milliseconds; work that grows with the square of the length takes minutes
