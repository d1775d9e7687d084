"""Output and exit status of the commands that report issues."""

import click
import pytest

from flower.cli.severity import exit_by_severity, finding_lines


def test_a_finding_has_its_severity_detail_and_action() -> None:
    lines = [line.text for line in finding_lines("warning", "Title", "Detail.", "flower gaps")]
    assert lines == ["warning  Title", "         Detail.", "         → flower gaps"]


@pytest.mark.parametrize(("errors", "warnings", "status"), [(True, True, 3), (False, True, 1)])
def test_the_exit_status_is_that_of_the_most_severe_issue(errors: bool, warnings: bool, status: int) -> None:
    with pytest.raises(click.exceptions.Exit) as raised:
        exit_by_severity(has_errors=errors, has_warnings=warnings)
    assert raised.value.exit_code == status
    exit_by_severity(has_errors=False, has_warnings=False)
