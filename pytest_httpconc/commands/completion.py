"""``httpconc completion``: what a shell needs to complete the command line."""

from __future__ import annotations

import argparse
from typing import Final

__all__ = ["add_parser", "run"]

_EXAMPLES: Final = """examples:
  eval "$(httpconc completion bash)"                          in ~/.bashrc
  httpconc completion zsh > ~/.zfunc/_httpconc                with fpath+=~/.zfunc before compinit, in ~/.zshrc
  httpconc completion fish > ~/.config/fish/completions/httpconc.fish
"""
_FILES: Final = {"FILE", "PATH"}
_SHELLS: Final = ("bash", "fish", "tcsh", "zsh")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Say how it is called."""
    parser = commands.add_parser(
        "completion",
        help="print a script by which a shell completes this command",
        description="Prints a script by which a shell completes commands, options and files.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=_SHELLS, metavar="SHELL", help=", ".join(_SHELLS))
    return parser


def run(options: argparse.Namespace) -> int:
    """Print it."""
    import shtab

    _complete_files(options.parser, shtab.FILE)
    print(shtab.complete(options.parser, shell=options.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser, how: object) -> None:
    """Have arguments that name files completed by the files there are."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                _complete_files(each, how)
        elif action.metavar in _FILES:
            vars(action)["complete"] = how  # where shtab looks
