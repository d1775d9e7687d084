"""`flower completion`: the completion scripts of bash, zsh and fish, and the completions that these request.

A script passes the typed line to `flower completion SHELL --line LINE` and offers the printed values. Modules of
commands are imported only where their options are completed, and no module that needs the query engine."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import click

from flower.cli.escaping import escape_control
from flower.cli.global_options import GLOBAL_OPTIONS, HELP_SETTINGS, split_leading_options
from flower.cli.main import COMMANDS, load_command
from flower.cli.shell_line import TypedLine, split_line
from flower.config import DEFAULT_CONFIG

#: A completion and its description.
Candidate = tuple[str, str]

#: Commands whose words are a query.
_QUERY_COMMANDS: Final = frozenset(
    {"tasks", "stats", "failures", "workflows", "tail", "watch", "export", "rerun", "revoke", "terminate", "abort"}
)
#: By command: the search field whose values its argument is.
_NAME_ARGUMENTS: Final = {"workers": "worker", "queues": "queue"}
#: Options whose value is a file or directory.
_FILE_OPTIONS: Final = frozenset({"--db", "--conf", "--workdir", "--certfile", "--keyfile", "--ca-certs"})
#: Printed instead of values: the shell completes file names.
_FILES: Final[Candidate] = ("@files", "")
_MAX_CANDIDATES: Final = 100

_SCRIPTS: Final[Mapping[str, str]] = {
    "bash": r"""# bash completion of flower: add  eval "$(flower completion bash)"  to ~/.bashrc
_flower_completion() {
    local value rest
    COMPREPLY=()
    while IFS=$'\t' read -r value rest; do
        case $value in
            @files) compopt -o default; return ;;
            *[:.=]) compopt -o nospace ;;
        esac
        COMPREPLY+=("$value")
    done < <(flower completion bash --line "${COMP_LINE:0:COMP_POINT}" --word-breaks "$COMP_WORDBREAKS" 2>/dev/null)
}
complete -o nosort -F _flower_completion flower
""",
    "zsh": r"""#compdef flower
# zsh completion of flower: add  eval "$(flower completion zsh)"  to ~/.zshrc, after compinit
_flower() {
    local value description
    local -a values shown open open_shown
    while IFS=$'\t' read -r value description; do
        case $value in
            @files) _files; return ;;
            *[:.=]) open+=("$value"); open_shown+=("$value  $description") ;;
            *) values+=("$value"); shown+=("$value  $description") ;;
        esac
    done < <(flower completion zsh --line "${(j: :)words[1,CURRENT]}" 2>/dev/null)
    (( $#values )) && compadd -Q -U -l -V flower -d shown -a values
    (( $#open )) && compadd -Q -U -l -V flower-open -S '' -d open_shown -a open
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _flower "$@"
else
    compdef _flower flower
fi
""",
    "fish": r"""# fish completion of flower: add  flower completion fish | source  to ~/.config/fish/config.fish
function __flower_complete
    set -l values (flower completion fish --line (commandline -cp | string collect) 2>/dev/null)
    if test "$values[1]" = @files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $values
    end
end
complete --command flower --no-files --keep-order --arguments '(__flower_complete)'
""",
}


@click.command("completion", context_settings=HELP_SETTINGS)
@click.argument("shell", type=click.Choice(list(_SCRIPTS)))
@click.option("--line", hidden=True)
@click.option("--word-breaks", default="", hidden=True)
def completion(*, shell: str, line: str | None, word_breaks: str) -> None:
    """Print the completion script of a SHELL: bash, zsh or fish.

    \b
    eval "$(flower completion bash)"           in ~/.bashrc
    eval "$(flower completion zsh)"            in ~/.zshrc, after compinit
    flower completion fish | source            in ~/.config/fish/config.fish

    Commands, options, the fields and operators of queries, and the task names, workers and queues of the store are
    completed."""
    if line is None:
        click.echo(_SCRIPTS[shell], nl=False)
        return
    typed = split_line(line)
    for value, description in _format_candidates(complete(typed), typed, shell, word_breaks):
        click.echo(f"{value}\t{escape_control(description)}".rstrip("\t"))


def complete(typed: TypedLine) -> list[Candidate]:
    """The values that can replace the incomplete word, with descriptions."""
    found = _complete_words(list(typed.words[1:]), typed.incomplete)
    return list(found)[:_MAX_CANDIDATES]


def _format_candidates(
    candidates: Iterable[Candidate], typed: TypedLine, shell: str, word_breaks: str
) -> Iterator[Candidate]:
    """Values as the shell inserts them. bash replaces only the part after the last of its word breaks, and neither bash
    nor zsh quotes a value."""
    cut = 0
    if shell == "bash" and not typed.quote:
        cut = 1 + max((typed.incomplete.rfind(each) for each in word_breaks), default=-1)
    for value, description in candidates:
        if (value, description) == _FILES:
            yield value, description
        elif "\n" not in value and "\t" not in value:
            rest = value[cut:]
            is_bare = shell in ("bash", "zsh") and not typed.quote
            yield (re.sub(r"([^\w@%+=:,./-])", r"\\\1", rest) if is_bare else rest), description


def _complete_words(words: list[str], incomplete: str) -> Iterable[Candidate]:
    """`words`: the words after the name of the program."""
    try:
        leading, rest = split_leading_options(words)
    except click.UsageError:  # an option without its value
        return [_FILES] if words[-1] in _FILE_OPTIONS else []
    if not rest:
        return _filter(_global_options() if incomplete.startswith("-") else _commands(), incomplete)
    name, *arguments = rest if rest[0] in COMMANDS else ["serve", *rest]
    previous = arguments[-1] if arguments else ""
    if name in _QUERY_COMMANDS and not previous.startswith("-") and not incomplete.startswith("--"):
        return _complete_query(incomplete, _find_store([*leading, *arguments]))
    command = load_command(name)
    if isinstance(command, click.Group):
        if not arguments:
            return _filter(((each, sub.get_short_help_str()) for each, sub in command.commands.items()), incomplete)
        if arguments[0] not in command.commands:
            return []
        command = command.commands[arguments[0]]
    return _complete_command(command, name, previous, incomplete, _find_store([*leading, *arguments]))


def _complete_command(
    command: click.Command, name: str, previous: str, incomplete: str, store: str
) -> Iterable[Candidate]:
    options = {flag: each for each in command.params if isinstance(each, click.Option) for flag in each.opts}
    option = options.get(previous)
    if option is not None and not option.is_flag:
        return _option_values(previous, option, incomplete)
    if incomplete.startswith("-"):
        shown = {flag: each.help or "" for flag, each in options.items() if not each.hidden and flag.startswith("--")}
        return _filter([*shown.items(), ("--help", "Show this message and exit.")], incomplete)
    if name in _NAME_ARGUMENTS:
        return _filter(((word, "") for word in _read_words(store, _NAME_ARGUMENTS[name], incomplete)), incomplete)
    if name in _QUERY_COMMANDS:
        return _complete_query(incomplete, store)
    argument = next((each for each in command.params if isinstance(each, click.Argument)), None)
    if argument is not None and isinstance(argument.type, click.Choice):
        return _filter(((str(each), "") for each in argument.type.choices), incomplete)
    return [_FILES] if argument is not None and isinstance(argument.type, click.Path) else []


def _option_values(flag: str, option: click.Option, incomplete: str) -> Iterable[Candidate]:
    if flag in _FILE_OPTIONS:
        return [_FILES]
    if isinstance(option.type, click.Choice):
        return _filter(((str(each), "") for each in option.type.choices), incomplete)
    if flag == "--by":
        from flower.store.query_results import FACETS  # noqa: PLC0415 - needed for this option only

        return _filter(((facet, "") for facet in FACETS), incomplete)
    if flag == "--columns":
        from flower.api.columns import COLUMNS  # noqa: PLC0415 - needed for this option only

        before, comma, last = incomplete.rpartition(",")
        return _filter(((f"{before}{comma}{name}", "") for name in COLUMNS if name.startswith(last)), incomplete)
    return []


def _complete_query(text: str, store: str) -> list[Candidate]:
    """Completions of the last word of a query."""
    # Imported here, because commands and options are completed without the search language.
    from flower.search.completion import parse_completion_request, suggest_completions  # noqa: PLC0415
    from flower.search.formatter import quote_value  # noqa: PLC0415

    request = parse_completion_request(text, len(text))
    before = text[: request.start]
    candidates = [(before + quote_value(word), "") for word in _read_words(store, request.field, request.prefix)]
    for each in suggest_completions(request):
        if each.text and each.text != before:
            candidates.append((before + each.text, each.description))
    return [each for each in candidates if each[0].casefold().startswith(text.casefold())]


def _read_words(store: str, field: str, prefix: str) -> list[str]:
    from flower.store.sqlite.words import read_words  # noqa: PLC0415 - not needed for commands and options

    return read_words(store, field, prefix)


def _find_store(words: list[str]) -> str:
    """The data directory: `--db`, the environment or the default. The configuration file is not read, because it is a
    program, and completing a word must not run it."""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name == "--db":
            given = value if equals else "".join(words[index + 1 : index + 2])
            return os.path.expanduser(given)
    return os.environ.get("FLOWER_DB") or DEFAULT_CONFIG.db


def _commands() -> Iterator[Candidate]:
    return ((name, summary) for name, (_, summary) in COMMANDS.items())


def _global_options() -> list[Candidate]:
    options = [(option.flags[-1], option.help) for option in GLOBAL_OPTIONS]
    return [*options, ("--help", "Show this message and exit."), ("--version", "Show the version and exit.")]


def _filter(candidates: Iterable[Candidate], incomplete: str) -> list[Candidate]:
    return [each for each in candidates if each[0].startswith(incomplete)]
