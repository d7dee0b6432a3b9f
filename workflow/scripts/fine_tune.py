"""Train a backbone with its head on face crops, and predict every clip with the best epoch."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from affectflow.commandline import limit_threads, run, settings
from affectflow.devices import choose
from affectflow.training.fine_tune import fine_tune


def main(arguments: Namespace) -> None:
    limit_threads(arguments.threads)
    fine_tune(
        faces=arguments.faces,
        backbone=arguments.backbone,
        weights=arguments.weights,
        clips=arguments.clips,
        tasks=arguments.tasks,
        training=arguments.training,
        seed=arguments.seed,
        device=choose(arguments.device),
        threads=arguments.threads,
        checkpoint=arguments.checkpoint,
        code_digest=arguments.code,
        model=arguments.model,
        description=arguments.description,
        history=arguments.history,
        predictions=arguments.predictions,
    )


parser = ArgumentParser(description=__doc__)
parser.add_argument("--faces", type=Path, nargs="+", required=True, help="all shards of faces")
parser.add_argument("--backbone", required=True, help="its name")
parser.add_argument("--weights", type=Path, required=True, help="what the backbone starts from")
parser.add_argument("--clips", type=Path, required=True, help="clips.csv")
parser.add_argument("--tasks", type=Path, required=True, help="tasks.json")
parser.add_argument("--training", type=settings, required=True, help="keys of the experiment")
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
parser.add_argument("--threads", type=int, default=1, help="CPU cores to use")
parser.add_argument("--checkpoint", type=Path, required=True, help="where a killed run goes on")
parser.add_argument(
    "--code", default="", help="digest of the code; a checkpoint of other code is not resumed"
)
parser.add_argument("--model", type=Path, required=True, help="model.safetensors to write")
parser.add_argument("--description", type=Path, required=True, help="model.json to write")
parser.add_argument("--history", type=Path, required=True, help="history.csv to write")
parser.add_argument("--predictions", type=Path, required=True, help="predictions.csv to write")
run(parser, main)
