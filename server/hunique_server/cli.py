"""`hunique-server`: serve bundles over gRPC."""

import asyncio
import json
import logging
import os
import sys
from typing import Any

import click

# gRPC writes a line for every handshake that fails, past the log and its format
os.environ["GRPC_VERBOSITY"] = os.environ.get("GRPC_VERBOSITY", "NONE")
try:
    from hunique_models.errors import HuniqueError
    from hunique_server.allocator import keep_for_the_next
    from hunique_server.audit_command import audit_verify
    from hunique_server.config import ConfigError, ServerConfig
    from hunique_server.cores import usable_cores
    from hunique_server.lifecycle import serve
    from hunique_server.model_options import model_options, read_models
    from hunique_server.security_options import read_security, security_options
    from hunique_server.token_command import token
except ImportError as error:
    print(f"hunique-server needs {error.name}: pip install 'hunique[server]'", file=sys.stderr)
    sys.exit(1)

_MIB = 1024 * 1024


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _configure_logging(level: str, form: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if form == "json" else logging.Formatter("%(levelname)s %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # at debug it logs what is written inside of files: authors, places, descriptions
    logging.getLogger("PIL").setLevel(logging.INFO)


class _Workers(click.IntRange):
    """A number from 1 on, or auto, which is 0."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return 0 if value in ("auto", "0", 0) else super().convert(value, param, ctx)


@click.group(
    invoke_without_command=True,
    context_settings={"auto_envvar_prefix": "HUNIQUE_SERVER", "show_default": True},
    epilog="Every flag can be given as a variable HUNIQUE_SERVER_<FLAG>; the flag wins.",
)
@click.version_option(package_name="hunique")
@model_options
@click.option("--listen", multiple=True, default=("127.0.0.1:50051",), show_envvar=True,
              help="HOST:PORT or unix:PATH of the gRPC service; repeat it for several, in the "
              "variable put spaces between them. "
              "Beyond this machine it needs --tls-cert or --insecure.")  # fmt: skip
@click.option("--admin-listen", default="127.0.0.1:9464", show_envvar=True,
              help="HOST:PORT of /metrics, /healthz and /readyz; none for none.")  # fmt: skip
@click.option("--device", default="cpu", show_envvar=True,
              help="cpu; cuda or cuda:1 (ONNX Runtime); tensorrt (its TensorRT provider); "
              "native-tensorrt (an engine of hunique-export). A device that is not there is an "
              "error, never a silent fallback.")  # fmt: skip
@click.option("--threads", type=click.IntRange(min=0), default=0, show_envvar=True,
              help="Cores that runs of a model on the CPU may use. 0 takes those this process may use; give "
              "fewer where other programs need them.")  # fmt: skip
@click.option("--workers", type=_Workers(min=1), metavar="auto|N", default="auto", show_envvar=True,
              help="auto: on the CPU a picture that is alone gets all --threads, in a crowd each "
              "gets one. N: always so many runs at once, and threads that decode and encode; "
              "raise it where a GPU waits for pictures.")  # fmt: skip
@click.option("--max-batch", type=click.IntRange(min=1), default=8, show_envvar=True,
              help="Most looks of one run (a picture at standard detail has up to 11). Below that "
              "the server finds out what is worth it; on a GPU raise it as far as memory goes.")  # fmt: skip
@click.option("--max-queue-items", type=click.IntRange(min=1), default=128, show_envvar=True,
              help="Most pictures inside at once; beyond, callers are told when to try again. "
              "Choose the longest wait you would accept divided by the time of a picture.")  # fmt: skip
@click.option("--max-queue-mib", type=click.IntRange(min=1), default=512, show_envvar=True,
              help="Most MiB of encoded images inside at once; a bound on memory.")  # fmt: skip
@click.option("--max-image-mib", type=click.IntRange(min=1), default=64, show_envvar=True,
              help="Largest encoded image.")  # fmt: skip
@click.option("--max-image-megapixels", type=click.IntRange(min=1), default=80, show_envvar=True,
              help="Largest picture; each megapixel takes up to 12 MB while it is worked on.")  # fmt: skip
@click.option("--decoders", type=click.Choice(["threads", "processes"]), default="threads",
              show_envvar=True, help="Where pictures are decoded. processes: a picture on which a "
              "decoder crashes or hangs costs that picture and no other; takes more memory. "
              "Linux only.")  # fmt: skip
@click.option("--decode-timeout-s", type=click.FloatRange(min=0.1), default=60.0, show_envvar=True,
              help="With --decoders processes: a picture that is not decoded in that time is refused, "
              "and its decoder is ended. Several times what the largest one takes.")  # fmt: skip
@click.option("--drain-s", type=click.FloatRange(min=0), default=20.0, show_envvar=True,
              help="Seconds that running requests may take after SIGTERM; below the grace period "
              "of whatever stops the process.")  # fmt: skip
@click.option("--exit-with-parent", is_flag=True, show_envvar=True,
              help="End when standard input closes; for clients that start a private server.")  # fmt: skip
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]),
              default="info", show_envvar=True,
              help="Pictures and their names are logged at no level.")  # fmt: skip
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text",
              show_envvar=True, help="json: one object a line, for log collectors.")  # fmt: skip
@security_options
@click.pass_context
def main(
    context: click.Context,
    /,
    admin_listen: str,
    threads: int,
    workers: int,
    max_queue_mib: int,
    max_image_mib: int,
    max_image_megapixels: int,
    decoders: str,
    log_level: str,
    log_format: str,
    **rest: object,
) -> None:
    """Serve models over gRPC, or do what a command says.

    The services are hunique.v1.HandFeatures, the Open Inference Protocol
    (inference.GRPCInferenceService), health and reflection.
    """
    if context.invoked_subcommand is not None:
        return
    _configure_logging(log_level, log_format)
    cores = usable_cores()
    keep_for_the_next(cores)
    try:
        config = ServerConfig(
            admin_listen="" if admin_listen == "none" else admin_listen,
            threads=threads or cores,
            workers=workers,
            max_queue_bytes=max_queue_mib * _MIB,
            max_image_bytes=max_image_mib * _MIB,
            max_image_pixels=max_image_megapixels * 1_000_000,
            decoder_processes=decoders == "processes",
            **read_models(rest),
            **read_security(rest),
            **rest,  # type: ignore[arg-type]
        )
        asyncio.run(serve(config))
    except (ConfigError, HuniqueError) as error:
        raise click.ClickException(str(error)) from error


main.add_command(audit_verify)
main.add_command(token)
