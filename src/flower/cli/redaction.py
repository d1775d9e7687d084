"""`flower redaction check`: measures the redaction rules with a corpus of shapes."""

import os
from pathlib import Path

import click

from flower.cli.base import EXIT_FAILED, QueryCommand, config_file_options
from flower.cli.escaping import escape_control
from flower.config import load_config
from flower.redaction import Redactor, parse_rules
from flower.redaction.shapes import check_shapes, load_shapes

#: Characters of a text that are printed.
_MAX_TEXT = 200


@click.group()
def redaction() -> None:
    """Check the redaction rules: which texts they mask, and which they do not."""


@redaction.command("check", cls=QueryCommand)
@config_file_options
@click.option("--redact", metavar="NAMES", help="Names, instead of those of the configuration.")
@click.option("--redact-patterns", metavar="PATTERNS", help="Patterns, instead of those of the configuration.")
@click.argument("file", required=False, type=click.Path(dir_okay=False, exists=True, path_type=Path))
def check(
    *, db: str | None, conf: str | None, redact: str | None, redact_patterns: str | None, file: Path | None
) -> None:
    """Mask the texts of FILE (default: the built-in shapes) by the rules of the configuration, and print each text that
    is not treated as the file requires, then recall and precision. The format is described in docs/redaction.md.

    The exit status is 3 if a text is not treated as required."""
    given = {"db": db, "conf": conf, "redact": redact, "redact_patterns": redact_patterns}
    config = load_config({name: value for name, value in given.items() if value is not None}, os.environ)
    redactor = Redactor(parse_rules(config.redact, config.redact_patterns, config.redact_args or ()))
    report = check_shapes(redactor, load_shapes(file))
    for finding in report.findings:
        click.echo(f"{finding.shape.name}: {finding.problem}")
        click.echo(f"  text    {_shorten(finding.shape.text)}")
        click.echo(f"  masked  {_shorten(finding.masked)}")
    click.echo(
        f"recall {report.recall:.1%} ({report.masked} of {report.masked + report.missed} secrets masked), "
        f"precision {report.precision:.1%} ({report.over_masked} texts masked too much, {report.kept} kept)"
    )
    if report.findings:
        raise click.exceptions.Exit(EXIT_FAILED)


def _shorten(text: str) -> str:
    return escape_control(text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…")
