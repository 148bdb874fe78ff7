"""`structured-prompt`: one command line, composed of a module a subject, which import what is heavy when called."""

import sys

import typer

from cli._output import print_error

PRODUCT = "Turn a stream of prompts into a stream of validated, structured, billed answers."


def build() -> typer.Typer:
    """The whole command line."""
    from cli import admin, audit, cache, data, destinations, doctor, exports, local, processes, sinks, webhooks

    app = typer.Typer(
        help=PRODUCT,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    for module in (local, doctor, data, admin, audit, cache, sinks, exports, webhooks, destinations, processes):
        module.register(app)
    return app


def run() -> None:
    """The console script. Exit codes: 0 done, 1 the work failed, 2 bad usage or settings."""
    from domain.errors import InvalidSettings, StructuredPromptError

    try:
        build()()
    except InvalidSettings as error:
        print_error(str(error))
        sys.exit(2)
    except StructuredPromptError as error:
        print_error(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
