"""Numbers and stretches of time as people say them."""


def lasting(seconds: float) -> str:
    """12 seconds, 5 minutes, 3 hours, 2 days."""
    for width, unit in ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * width:
            return counted(round(seconds / width), unit)
    return counted(max(0, round(seconds)), "second")


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def rate(each_second: float) -> str:
    """So many a second, or a minute where they are few."""
    return f"{each_second:,.1f} a second" if each_second >= 1 else f"{each_second * 60:,.1f} a minute"


def size(amount: int) -> str:
    return f"{amount / 2**30:,.1f} GB" if amount >= 2**30 else f"{amount / 2**20:,.0f} MB"
