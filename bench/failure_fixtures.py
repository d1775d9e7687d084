"""The failures of the dataset: groups as an online shop has them, each raised at its own location.

Within a group only numbers and ids differ, so all its failures have one fingerprint (class, masked message, frame).
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    path: str
    line: int
    function: str
    source: str

    def __str__(self) -> str:
        return f'  File "{self.path}", line {self.line}, in {self.function}\n    {self.source}'


def _lib(path: str, line: int, function: str, source: str) -> Frame:
    return Frame(f"/srv/venv/lib/python3.11/site-packages/{path}", line, function, source)


def _shop(department: str, line: int, function: str, source: str) -> Frame:
    return Frame(f"/srv/shop/{department}.py", line, function, source)


#: Celery's frames between the worker and the user's code, the same in every traceback.
TRACE_FRAMES = (
    _lib("celery/app/trace.py", 585, "trace_task", "R = retval = fun(*args, **kwargs)"),
    _lib("celery/app/trace.py", 858, "__protected_call__", "return self.run(*args, **kwargs)"),
)


@dataclass(frozen=True, slots=True)
class FailureFixture:
    """One group. `message` has the placeholders `{order}` and `{number}`. `frames` are those of the user's code, the
    innermost last; `below` are those of libraries that it calls."""

    exception: str  # with its module, as in the last line of a traceback
    message: str
    frames: tuple[Frame, ...]
    below: tuple[Frame, ...] = ()

    @property
    def name(self) -> str:
        """The class without its module, as in its repr."""
        return self.exception.rsplit(".", 1)[-1]

    def repr(self, number: int) -> str:
        """The exception of the event, with the placeholder of the order."""
        return f"{self.name}({self.message.replace('{number}', str(number))!r})"

    def traceback(self, number: int) -> str:
        """The traceback of the event, with the placeholder of the order."""
        frames = "\n".join(map(str, (*TRACE_FRAMES, *self.frames, *self.below)))
        message = self.message.replace("{number}", str(number))
        return f"Traceback (most recent call last):\n{frames}\n{self.exception}: {message}\n"


_HTTP = (
    _lib("requests/sessions.py", 703, "send", "r = adapter.send(request, **kwargs)"),
    _lib("requests/adapters.py", 700, "send", "raise ConnectionError(e, request=request)"),
)
_SQL = (
    _lib("sqlalchemy/engine/base.py", 1967, "_exec_single_context", "self.dialect.do_execute(cursor, str_statement)"),
)

#: The most frequent one first.
FAILURE_FIXTURES = (
    FailureFixture(
        "shop.payments.errors.CardDeclined",
        "card declined for order {order}, reason {number}",
        (
            _shop("payments/tasks", 88, "charge_basket", "receipt = gateway.charge(basket.total, basket.card)"),
            _shop("payments/gateway", 141, "charge", "raise CardDeclined.because(answer.reason, order=order)"),
        ),
    ),
    FailureFixture(
        "requests.exceptions.ConnectionError",
        "HTTPSConnectionPool(host=pay.example.com): order {order} timed out after {number} s",
        (
            _shop("payments/tasks", 92, "charge_basket", "receipt = gateway.charge(basket.total, basket.card)"),
            _shop("payments/gateway", 133, "charge", "answer = self.session.post(self.url, json=body, timeout=20)"),
        ),
        _HTTP,
    ),
    FailureFixture(
        "KeyError",
        "'price of article {number}'",
        (
            _shop("catalogue/tasks", 41, "render_price_list", "rows = [self.row(article) for article in articles]"),
            _shop("catalogue/prices", 207, "row", "return article.name, prices_by_article[article.key]"),
        ),
    ),
    FailureFixture(
        "shop.parcels.errors.LabelPrinterBusy",
        "label printer {number} is busy, order {order} put back",
        (
            _shop("parcels/tasks", 57, "render_label", "printers.least_busy().print_label(parcel)"),
            _shop("parcels/printers", 78, "print_label", "raise LabelPrinterBusy.with_queue_of(self, parcel)"),
        ),
    ),
    FailureFixture(
        "TimeoutError",
        "no answer from the stock service within {number} seconds",
        (
            _shop("orders/tasks", 119, "recount_basket", "stock.reserve_everything_or_nothing(order.lines)"),
            _shop("orders/stock", 64, "reserve_everything_or_nothing", "raise TimeoutError(self.words_for(waited))"),
        ),
    ),
    FailureFixture(
        "sqlalchemy.exc.OperationalError",
        "(psycopg.errors.DeadlockDetected) deadlock; process {number} waits for a lock",
        (_shop("accounts/tasks", 73, "archive_customer", "session.execute(move_customer_to_archive(customer))"),),
        _SQL,
    ),
    FailureFixture(
        "ValueError",
        "no price for article {number} of order {order}",
        (
            _shop("invoices/tasks", 33, "render_statement", "lines = [self.invoice_line(item) for item in order]"),
            _shop("invoices/lines", 18, "invoice_line", "raise ValueError(no_price_for(item.article, order))"),
        ),
    ),
    FailureFixture(
        "UnicodeDecodeError",
        "'utf-8' codec can't decode byte 0xe9 in position {number}: invalid continuation byte",
        (_shop("catalogue/tasks", 152, "import_price_list", "for row in csv.reader(io.StringIO(body.decode())):"),),
    ),
    FailureFixture(
        "smtplib.SMTPRecipientsRefused",
        "550 5.1.1 mailbox of customer {number} does not exist",
        (
            _shop("newsletter/tasks", 26, "notify_customer", "mailer.send_the_letter_of_the_week_to(customer)"),
            _shop(
                "newsletter/mailer",
                95,
                "send_the_letter_of_the_week_to",
                "self.smtp.send_message(letter.addressed_to(customer))",
            ),
        ),
    ),
    FailureFixture(
        "celery.exceptions.SoftTimeLimitExceeded",
        "",
        (
            _shop("reports/tasks", 210, "render_statement", "sheet.add_every_order_of_the_quarter(quarter)"),
            _shop(
                "reports/sheets",
                388,
                "add_every_order_of_the_quarter",
                "self.write_row(order.number, *self.figures_of(order))",
            ),
        ),
    ),
    FailureFixture(
        "AttributeError",
        "'NoneType' object has no attribute 'street'",
        (
            _shop(
                "parcels/tasks", 102, "translate_address", "return postal_service.normalised(customer.address.street)"
            ),
        ),
    ),
    FailureFixture(
        "MemoryError",
        "picture of {number} megapixels",
        (_shop("catalogue/pictures", 44, "render_picture", "thumbnail = picture.resized_to_fit_within(640, 480)"),),
    ),
)

#: Some failures are daily bread, others are rare.
WEIGHTS = tuple(1 / (rank + 1) for rank in range(len(FAILURE_FIXTURES)))
#: Sought for as phrases: lines of the user's code.
LINES = tuple(frame.source for failure in FAILURE_FIXTURES for frame in failure.frames)
PHRASE = 30


def random_failure(rng: random.Random) -> FailureFixture:
    return rng.choices(FAILURE_FIXTURES, WEIGHTS)[0]


def random_phrase(rng: random.Random, lines: tuple[str, ...] = LINES) -> str:
    """PHRASE consecutive characters of one of these lines, without white space at the ends."""
    while True:
        line = rng.choice(lines)
        start = rng.randint(0, len(line) - PHRASE)
        phrase = line[start : start + PHRASE]
        if phrase == phrase.strip():
            return phrase
