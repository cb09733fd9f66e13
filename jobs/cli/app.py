"""The command `skysieve`: what there is, and how errors end it."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import Abort, TyperException

from db.errors import StoreError
from engine.errors import EngineError
from jobs.cli import (
    anomaly,
    bench,
    cleaning,
    cluster,
    codec,
    cosmicrays,
    crossmatch,
    doctor,
    downlink,
    models,
    scan,
    serving,
)
from jobs.cli import store as store_commands
from jobs.errors import JobError

app = typer.Typer(
    name="skysieve",
    help="Sieve the sky: compress, clean, score and verify images over one store.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
train = typer.Typer(no_args_is_help=True, help="Train the models that skysieve ships.")
fetched = typer.Typer(no_args_is_help=True, help="Models from outside: fetch and list.")

for command in (
    scan.demo,
    serving.configure,
    serving.serve,
    serving.run,
    scan.scan,
    codec.compress,
    codec.decompress,
    downlink.downlink,
    downlink.receive,
    cleaning.clean,
    anomaly.score,
    cluster.cluster,
    crossmatch.crossmatch,
    doctor.doctor,
):
    app.command()(command)

train.command("codec")(codec.train_codec)
train.command("cosmicrays")(cosmicrays.train_cosmicrays)
train.command("anomaly")(anomaly.train_anomaly)
fetched.command("fetch")(models.models_fetch)
fetched.command("list")(models.models_list)
app.add_typer(train, name="train")
app.add_typer(bench.app, name="bench")
app.add_typer(store_commands.labels, name="labels")
app.add_typer(fetched, name="models")
app.add_typer(store_commands.db, name="db")


def main() -> None:
    """Run a command; an expected error ends it with one line on stderr and status 1 (2: usage)."""
    try:
        sys.exit(app(standalone_mode=False))
    except TyperException as error:
        if text := " ".join(error.format_message().split()):  # else the help was shown instead
            print(f"skysieve: {text} (see --help)", file=sys.stderr)
        sys.exit(error.exit_code)
    except (EngineError, JobError, StoreError, OSError) as error:
        print(f"skysieve: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
    except (KeyboardInterrupt, Abort):
        print("skysieve: stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
