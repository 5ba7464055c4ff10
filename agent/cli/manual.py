"""Write the manual page of `crosshaul` from the same texts as `--help`.

Format: https://man7.org/linux/man-pages/man7/man-pages.7.html
"""

import re
from collections.abc import Iterator
from typing import Any

from agent import VERSION
from agent.cli.errors import MEANING

_LITERAL = "\b"
"""First line of a paragraph whose lines are kept as they are, as in Click's help."""


def manual(root: Any) -> str:
    """Return the manual page of a command and of all its subcommands, in roff."""
    lines = [
        f'.TH {root.info_name.upper()} 1 "" "{_escaped(f"Crosshaul {VERSION}")}" "User Commands"',
        ".SH NAME",
        rf"{root.info_name} \- {_summary(root.command)}",
        ".SH SYNOPSIS",
        *_synopsis(root),
        ".SH DESCRIPTION",
        *_paragraphs(root.command.help or ""),
        ".SH OPTIONS",
        *_options(root),
        ".SH COMMANDS",
        *(line for context in _subcommands(root) for line in _command(context)),
        ".SH EXIT STATUS",
        *(line for code, text in MEANING.items() for line in (".TP", f".B {code.value}", _escaped(text))),
    ]
    return "\n".join(lines) + "\n"


def _summary(command: Any) -> str:
    first = (command.help or "").partition("\n\n")[0]
    return _escaped(" ".join(first.split()).rstrip("."))


def _subcommands(parent: Any) -> Iterator[Any]:
    """Yield the contexts of all commands below a group that do something themselves."""
    for word in parent.command.list_commands(parent):
        name, command, _ = parent.command.resolve_command(parent, [word])
        context = command.context_class(command, info_name=name, parent=parent)
        is_group = hasattr(command, "list_commands")
        if not is_group or command.invoke_without_command:
            yield context
        if is_group:
            yield from _subcommands(context)


def _command(context: Any) -> Iterator[str]:
    yield ".SS " + _quoted(_usage(context))
    yield from _paragraphs(context.command.help or "")
    yield from _options(context)


def _synopsis(context: Any) -> Iterator[str]:
    yield f".B {_escaped(context.command_path)}"
    yield _escaped(" ".join(context.command.collect_usage_pieces(context)))


def _usage(context: Any) -> str:
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def _options(context: Any) -> Iterator[str]:
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        if record and "--help" not in record[0]:
            names, text = record
            yield from (".TP", f".B {_escaped(names)}", *_lines(text))


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        yield ".PP"
        if paragraph.startswith(_LITERAL):
            yield from (".nf", *map(_escaped, paragraph.splitlines()[1:]), ".fi")
        else:
            yield from _lines(paragraph)


def _lines(text: str) -> Iterator[str]:
    yield _escaped(" ".join(text.split()))


def _quoted(text: str) -> str:
    return '"' + _escaped(text).replace('"', r"\(dq") + '"'


def _escaped(text: str) -> str:
    """Return the text with every character escaped that roff would interpret."""
    escaped = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
