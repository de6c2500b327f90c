"""The command line: ``jaxcnn train | evaluate | predict | export | summary | data | …``."""

import gc
import io
import os
import sys
import warnings
from typing import Annotated

import typer

import jaxcnn
from jaxcnn.cli import (
    data_commands,
    export_commands,
    filter_command,
    model_commands,
    native_commands,
    page_commands,
    predict_commands,
    run_commands,
    scale_command,
    see_commands,
    serve_commands,
    training_commands,
)
from jaxcnn.training.several_processes import end_if_lost, end_process

app = typer.Typer(
    help="Convolutional networks in JAX as plain functions.",
    pretty_exceptions_enable=False,
)
app.command()(training_commands.train)
app.command(name="recipes")(training_commands.list_recipes)
app.command()(training_commands.find_learning_rate)
app.command(name="runs")(run_commands.list_runs)
app.command()(run_commands.compare)
app.command()(run_commands.evaluate)
app.command()(predict_commands.predict)
app.command()(model_commands.summary)
app.command(name="models")(model_commands.list_models)
app.command(name="filter")(filter_command.filter_picture)
app.command(name="scale")(scale_command.forecast)
app.command()(export_commands.export)
app.command()(see_commands.show)
app.command()(see_commands.report)
app.command()(serve_commands.serve)
app.command()(page_commands.page)
app.add_typer(data_commands.app, name="data")
app.add_typer(native_commands.app, name="native")


def main() -> None:
    """Run the command line; an error of the user's is one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what an encoding lacks is printed as ?
            stream.reconfigure(errors="replace")
    try:
        if sys.argv[1:] and not {"--help", "--version"} & set(sys.argv):  # which start at once
            _prepare()
        end_process(app(standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        end_process(130)
    except typer.TyperException as error:
        message = error.format_message()
    except (ValueError, TypeError, ConnectionError) as error:
        end_if_lost(error)
        message = str(error)
    except FloatingPointError as error:  # the training failed
        print("Error:", error, file=sys.stderr)
        end_process(1)
    except OSError as error:
        message = f"{error.filename or 'a file'}: {error.strerror or error}"
    except Exception as error:
        end_if_lost(error)
        _end_if_out_of_memory(error)
        raise
    finally:
        # The collections at the end of the process would walk through all of JAX and Flax: 0.25 s.
        gc.freeze()
    print("Error:", " ".join(map(str.strip, message.splitlines())), file=sys.stderr)
    end_process(2)


def _end_if_out_of_memory(error: Exception) -> None:
    """End the process with one line if memory was not enough."""
    from jaxcnn.training.out_of_memory import is_out_of_memory

    if is_out_of_memory(error):
        first, *_ = str(error).splitlines() or ["the computer has no more memory"]
        notes = getattr(error, "__notes__", ())
        print("Error: out of memory:", ". ".join([first.rstrip("."), *notes]), file=sys.stderr)
        end_process(1)


def _prepare() -> None:
    """Configure this process, which belongs to the command: memory, imports, compiled programs."""
    from jaxcnn.runtime import cache_programs, keep_freed_memory

    keep_freed_memory()
    cache_programs()
    sys.path.append(os.getcwd())  # for a model of the user's, such as network:small
    warnings.showwarning = lambda message, *_, **__: print("Warning:", message, file=sys.stderr)


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print("jaxcnn", jaxcnn.__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help())
