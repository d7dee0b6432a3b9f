import json
import os
import re
import shlex
import shutil
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

CHECKOUT = Path(str(workflow.current_basedir)).parents[1]
SOURCE = str(CHECKOUT / "src")
sys.path.insert(0, SOURCE)

from affectflow import preflight, surroundings
from affectflow.config.study import read_study
from affectflow.dataset import contents, index
from affectflow.dataset.about import about, as_caption
from affectflow.dataset.paths import root_of
from affectflow.errors import UserError
from affectflow.provenance import access
from affectflow.provenance.atomic import sweep
from affectflow.provenance.code import code_digest
from affectflow.provenance.content import digest, sha256
from affectflow.published import names
from affectflow.temporal.settings import is_pooled

# The jobs run this checkout's library with the Python that runs this file, whatever else there is.
surroundings.use_own_modules(SOURCE)
surroundings.lead_path("PATH", Path(sys.executable).parent)
# SLURM's commands, with traps of the executor filled in.
surroundings.lead_path("PATH", CHECKOUT / "profiles" / "slurm" / "bin")

# Touched when a run begins: what is newer, by the same clock of the same file system, is its own.
BEGAN = Path(".snakemake/affectflow/began")
ENVIRONMENT = str(CHECKOUT / "envs" / "affectflow.yaml")

if workflow.config_settings.overwrite_config.get("experiments") == {}:
    # Merged over the default, an empty mapping changes nothing; it means: none.
    config["experiments"] = {}

# In the order of merging. A job's are those of the run that started it.
CONFIG_FILES = [
    *(
        file
        for file in workflow.configfiles
        if file not in workflow.overwrite_configfiles
    ),
    *workflow.overwrite_configfiles,
]

try:
    if workflow.is_main_process:
        preflight.check_folders()
except UserError as error:
    # Not Snakemake's to tell: its own log may lie on the disk that is full.
    sys.exit(f"\nerror: {error}")

try:
    for change in surroundings.use_writable_places(Path(".snakemake").absolute()):
        print(f"warning: {change}", file=sys.stderr)
    STUDY = read_study(
        config,
        CHECKOUT,
        list(map(Path, CONFIG_FILES)) if workflow.is_main_process else [],
        workflow.config_settings.config,
    )
    GROUP = access.group_id(STUDY.settings["group"])
except UserError as error:
    raise WorkflowError(str(error)) from None

# Faces are personal data: what is made here is its owner's alone, or a group's.
os.umask(access.umask(GROUP))


class Untracked:
    """A param that changes no result: Snakemake compares texts, numbers and lists, not this."""

    def __init__(self, value):
        self.value = str(value)

    def __str__(self):
        return self.value


PLANNING = workflow.is_main_process
SETTINGS = STUDY.settings
SHARDS = STUDY.shards
BACKBONES = STUDY.backbones
ASKED = STUDY.asked
# What is trained: experiments, folds, members of sweeps.
EXPERIMENTS = ASKED.trained
POOLED = [
    name for name, own in EXPERIMENTS.items() if is_pooled(own["training"]["head"])
]
# Their backbone is trained with the head, by a rule of its own.
FINE_TUNED = [
    name for name, own in EXPERIMENTS.items() if own["training"].get("fine_tune")
]
# Backbones whose embeddings somebody is trained on.
EMBEDDED = sorted(
    {own["backbone"] for name, own in EXPERIMENTS.items() if name not in FINE_TUNED}
)
IN_EPOCHS = [name for name in EXPERIMENTS if name not in [*POOLED, *FINE_TUNED]]
FUSED = ASKED.fused
FOLDED = ASKED.folded
FOLDS = [run for runs in FOLDED.values() for run in runs]
SWEEPS = ASKED.sweeps
CHOSEN = ASKED.chosen
# What is reported.
SCORED = ASKED.scored
# Named, not taken from index_dataset. A job on a node would look whether to run that again.
TASKS = "results/dataset/tasks.json"
DEVICE = Untracked(SETTINGS["device"])
SNAKEFILE = Untracked(CHECKOUT / "Snakefile")
FRAMES_ON_DISK = SETTINGS["frames"].get("on_disk", True)
DATASET = Untracked(json.dumps(SETTINGS["dataset"], sort_keys=True))
LAYOUT = SETTINGS["dataset"]["layout"]
# The dissertation's experiments that this study has: scored under their names, trained once, and
# with several runs (seeds, folds, a sweep's members).
DISSERTATION = [name for name in names.EXPERIMENTS if name in SCORED]
ONCE = [name for name in DISSERTATION if name in EXPERIMENTS]
REPEATED = [name for name in names.EXPERIMENTS if name in ASKED.repeated]
SEVERAL = [*REPEATED, *(name for name in DISSERTATION if name not in ONCE)]
# A study without its experiments has nothing to compare, or to draw.
COMPARED = bool(LAYOUT == names.LAYOUT and (DISSERTATION or REPEATED))
# What may be said of the people in this data set.
ABOUT = about(SETTINGS["dataset"])
# All that captions can read is the config; the report's own job is given it as it came.
GIVEN = dict(config)
config["captions"] = {"about": as_caption(ABOUT), "dissertation": COMPARED}
# Experiments whose numbers mean nothing: their backbone's weights are random.
RANDOM = [
    name
    for name in SCORED
    if any(
        BACKBONES[EXPERIMENTS[run]["backbone"]]["weights"] == "random"
        for run in ASKED.runs(name)
    )
]
RANDOM += [
    name for name, runs in ASKED.repeated.items() if any(run in RANDOM for run in runs)
]


def any_of(values):
    """A wildcard's constraint."""
    return "|".join(map(re.escape, values)) or "(?!)"  # which nothing matches


def numbered(title, figure):
    """A figure's title, in the dissertation's study with its number there."""
    return f"{title} (Figure {figure})" if COMPARED else title


wildcard_constraints:
    shard=r"\d{3}",
    backbone="|".join(BACKBONES),
    experiment=any_of([*EXPERIMENTS, *SCORED]),
    sweep=any_of(SWEEPS),


def script(name):
    return Untracked(CHECKOUT / "workflow" / "scripts" / name)


def code_of(name, *modules, without=()):
    """Digest of a script, all it imports from the library, and modules that it loads by name."""
    return code_digest(
        CHECKOUT / "workflow" / "scripts" / name, *modules, without=without
    )


def code(name, *modules):
    """As `code_of`, for a rule's params: looked up for the jobs that are planned, not for all."""
    return lambda wildcards: code_of(name, *modules)


def frames_code(wildcards):
    """As `code_of`; what the data set's room does is in `shard_digest`, by its result."""
    return code_of("extract_frames.py", without=["affectflow.dataset"])


def faces_code(wildcards):
    """As `frames_code`: it may decode the videos itself."""
    detector = f"affectflow.faces.detectors.{SETTINGS['faces']['detector']}"
    return code_of("detect_faces.py", detector, without=["affectflow.dataset"])


@cache
def planned_index():
    """The study's index, looked up once the DAG is planned.

    A mistake in the data set ends the program here: an exception of an input function would be
    shown with its traceback.
    """
    claim_folder()
    try:
        study_index = preflight.check(STUDY)
    except UserError as error:
        sys.exit(f"\nerror: {error}")
    if PLANNING:
        logger.info(study_index.told())
    return study_index


def makes_results():
    """Whether this process may change the folder: no job, no dry run, no listing of files."""
    return PLANNING and not workflow.dryrun and bool(workflow.executor_plugin)


@cache
def claim_folder():
    """Make sure, once the DAG is planned, that nobody else works here, and that changes are seen."""
    from affectflow.cluster.preflight import claim

    if not PLANNING:
        return
    require_triggers()
    if not makes_results():
        return
    try:
        claim(Path.cwd(), submits=workflow.non_local_exec)
    except UserError as error:
        sys.exit(f"\nerror: {error}")


def require_triggers():
    """End the program where it is told to pass over changed settings, labels, clips or code."""
    triggers = getattr(workflow.dag_settings, "rerun_triggers", None)
    try:
        preflight.check_triggers(
            None if triggers is None else {str(trigger) for trigger in triggers},
            workflow.execution_settings is None
            or workflow.execution_settings.keep_metadata,
        )
    except UserError as error:
        sys.exit(f"\nerror: {error}")


def digest_of(folder):
    """Digest of the texts in a folder of the checkout."""
    files = sorted((CHECKOUT / folder).glob("*.rst"))
    return digest([file.name, file.read_text()] for file in files)


def record_of(shard):
    """Where a shard's job keeps what was in the videos that it read."""
    return f".snakemake/affectflow/videos/shard-{shard}.json"


@cache
def planned_digest(shard):
    study_index, number = planned_index(), int(shard)
    others = contents.replaced_since(
        Path(record_of(shard)),
        study_index.root,
        study_index.shard_sizes(number),
        keep=makes_results(),
    )
    return study_index.shard_digest(number, others)


def shard_digest(wildcards):
    # A job on a cluster needs no second look at the data set.
    return planned_digest(wildcards.shard) if PLANNING else ""


def frames_source(wildcards, input):
    """What detect_faces reads: a shard of frames, or the videos."""
    if FRAMES_ON_DISK:
        return Untracked(shlex.join(["--frames", str(input)]))
    asked = {
        "--dataset": DATASET,
        "--shards": len(SHARDS),
        "--shard": wildcards.shard,
        "--sampling": json.dumps(SETTINGS["frames"], sort_keys=True),
        "--record": record_of(wildcards.shard),
    }
    return Untracked(shlex.join(str(part) for pair in asked.items() for part in pair))


def listing_digest(wildcards):
    return planned_index().digest() if PLANNING else ""


def label_digest(wildcards):
    if not PLANNING:
        return ""
    planned_index()
    return [sha256(path) for path in index.label_files(SETTINGS["dataset"])]


def weights_identity(wildcards):
    """What decides the weights: wherever a file of them lies, its content."""
    claim_folder()
    return preflight.weights_identity(BACKBONES[wildcards.backbone], SETTINGS["seed"])


def backbone_settings(wildcards):
    return Untracked(json.dumps(BACKBONES[wildcards.backbone], sort_keys=True))


def backbone_code(name):
    return lambda wildcards: code_of(
        name, f"affectflow.backbones.models.{wildcards.backbone}"
    )


def embedded_faces(wildcards):
    shards = STUDY.embedding_shards[wildcards.shard]
    return expand("results/faces/shard-{shard}.h5", shard=shards)


def experiment_embeddings(wildcards):
    return f"results/embeddings/{EXPERIMENTS[wildcards.experiment]['backbone']}.h5"


def experiment_group(wildcards):
    """Whose GPU job it is, where experiments of one backbone share some: see the SLURM profile."""
    if not PLANNING:
        # This is such a job: an experiment that fails must not stop those after it. Snakemake
        # hands --keep-going to no job, and has these settings only now that the jobs are known.
        workflow.execution_settings.keep_going = True
        return None
    if "train" not in workflow.group_settings.group_components:
        return None
    group = f"train-{experiment_backbone(wildcards)}"
    # What --group-components says of "train" is said of this group.
    workflow.parent_groupids[group] = "train"
    return group


def experiment_backbone(wildcards):
    return EXPERIMENTS[wildcards.experiment]["backbone"]


def experiment_weights(wildcards):
    return f"results/weights/{experiment_backbone(wildcards)}.safetensors"


def experiment_clips(wildcards):
    """The clip table by whose splits an experiment is trained and scored."""
    name = wildcards.experiment
    fold, dealt = "all", ASKED.dealt(name)
    if EXPERIMENTS.get(name, {}).get("fold"):
        fold, folds = EXPERIMENTS[name]["fold"]
        dealt = folds, EXPERIMENTS[name]["seed"]
    return clip_table(dealt, fold)


def clip_table(dealt, fold="all"):
    if dealt is None:
        return "results/dataset/clips.csv"
    folds, seed = dealt
    return f"results/dataset/folds/{folds}-seed_{seed}/{fold}.csv"


def predictions_of(names):
    return [f"results/experiments/{name}/predictions.csv" for name in names]


def metrics_of(names):
    return [f"results/experiments/{name}/metrics.json" for name in names]


def fused_predictions(wildcards):
    return predictions_of(FUSED[wildcards.experiment]["fuse"])


def fold_predictions(wildcards):
    return predictions_of(FOLDED[wildcards.experiment])


def member_predictions(wildcards):
    runs = SWEEPS[wildcards.sweep].runs.values()
    return predictions_of(run for own in runs for run in own)


def candidate_predictions(wildcards):
    return predictions_of(CHOSEN[wildcards.experiment]["runs"].values())


def chosen_runs(sweep):
    """The runs, one for each seed, that have the chosen member's predictions."""
    return [name for name, own in CHOSEN.items() if own["sweep"] == sweep]


def chosen_metrics(wildcards):
    return metrics_of(chosen_runs(wildcards.sweep))


def experiment_training(wildcards):
    return json.dumps(EXPERIMENTS[wildcards.experiment]["training"], sort_keys=True)


def experiment_seed(wildcards):
    return EXPERIMENTS[wildcards.experiment]["seed"]


def experiment_code(wildcards):
    training = EXPERIMENTS[wildcards.experiment]["training"]
    head = training["head"]
    if is_pooled(head):
        return code_of("train.py", f"affectflow.temporal.pooled.{head}")
    return code_of("train.py", *head_and_loss(training))


def fine_tuning_code(wildcards):
    return code_of(
        "fine_tune.py",
        # Loaded by their names.
        "affectflow.training.tuned_model",
        f"affectflow.backbones.models.{experiment_backbone(wildcards)}",
        *head_and_loss(EXPERIMENTS[wildcards.experiment]["training"]),
    )


def head_and_loss(training):
    return (
        f"affectflow.temporal.heads.{training['head']}",
        f"affectflow.temporal.losses.{training['loss']}",
        "affectflow.temporal.losses.cross_entropy",
    )


TEACHER = SETTINGS["teacher"]
TEACHER_BASE = TEACHER["base"]
# What of the config are tables and folders.
TEACHER_FILES = {
    "fec": ("train", "test", "images"),
    "affectnet": ("train", "validation", "images"),
}
# Where the job works. What it left there when the controller died is taken up again.
TEACHER_RUN = "results/teacher/run"


def claiming_argument(settings):
    """As `argument`; the teacher's jobs know no index, with which a folder is claimed otherwise."""
    text = json.dumps(settings, sort_keys=True)

    def claim_and_tell(wildcards):
        claim_folder()
        return text

    return claim_and_tell


def teacher_tables(wildcards):
    """Digests of the tables; what was downloaded since is seen by `--forcerun index_teacher`."""
    claim_folder()
    given = [TEACHER[data][key] for data, keys in TEACHER_FILES.items() for key in keys]
    paths = [Path(path).expanduser() for path in given if path]
    return [sha256(path) if path.is_file() else str(path) for path in paths]


def teacher_code(wildcards):
    """Digest of what decides the trained weights: not of how a job is started."""
    return code_digest(
        "affectflow.teacher.training",
        "affectflow.teacher.faces",
        "affectflow.backbones.models.fecnet",
        "affectflow.backbones.models.inception_resnet_v1",
    )


def teacher_threads():
    """One where a job is waited for; all of its processes' where they run here."""
    place = TEACHER["place"]
    alone = place["cluster"] == "auto" and not shutil.which("squeue")
    here = alone or place["cluster"] == "local"
    return place["processes"] * place["cpus"] if here else 1


def teacher_base_identity(wildcards):
    claim_folder()
    settings = {"weights": TEACHER_BASE}
    return preflight.weights_identity(settings, SETTINGS["seed"])


# Fixed, whatever --cores is: the number of threads decides the last bits of a sum.
TRAINING_THREADS = 1


def doubling(base, most=8):
    """What doubles with each attempt, up to `most` times as much: memory (MB)."""
    return lambda wildcards, attempt: base * min(2 ** (attempt - 1), most)


def longer(base):
    """Runtime (minutes) that doubles with each attempt, up to fourfold: partitions have limits."""
    return doubling(base, most=4)


def argument(settings):
    """Settings as one command-line argument, for a rule's params."""
    text = json.dumps(settings, sort_keys=True)
    return lambda wildcards: text


def begin_run():
    """The last checks, before the first job; then the folder is this process's own."""
    from affectflow.cluster import controller, waiting
    from affectflow.cluster.preflight import check, require_download

    BEGAN.parent.mkdir(parents=True, exist_ok=True)
    BEGAN.touch()
    executor, jobs = workflow.executor_plugin.name, list(workflow.dag.needrun_jobs())
    if all(job.rule.name == "plan" for job in jobs):
        return  # nothing is going to be made
    try:
        if executor == "slurm":
            check(requests(jobs), shared_folders(), SETTINGS["shared_folders"])
        for job in jobs:
            name = job.wildcards.get("backbone")
            if (
                job.rule.name == "weights"
                and BACKBONES[name]["weights"] == "pretrained"
            ):
                require_download(name, preflight.published_weights(name))
        keep_private()
        shutil.rmtree(controller.SUBMITTED, ignore_errors=True)
    except UserError as error:
        sys.exit(f"\nerror: {error}")
    if executor == "slurm":
        waiting.pass_on(waiting.NOTES, logger.warning)
    sweep_leftovers()
    controller.record(
        Path.cwd(),
        executor,
        [
            controller.PlannedJob(
                job.rule.name, "_".join(job.wildcards), str(job.log), job.is_local
            )
            for job in jobs
            if job.log
        ],
    )


def keep_private():
    """Keep others out of what is made here, or say that it can't be."""
    folders = map(Path, ("results", "logs", ".snakemake"))
    for problem in access.restrict(
        folders, GROUP, required=SETTINGS["private"] == "required"
    ):
        print(f"\nwarning: {problem}", file=sys.stderr)


def sweep_checkpoints():
    """Remove the checkpoints of finished trainings."""
    for name in EXPERIMENTS:
        folder = Path("results/experiments") / name
        if (folder / "predictions.csv").exists():
            (folder / "checkpoint.pt").unlink(missing_ok=True)


def sweep_leftovers():
    """Remove what jobs that were killed, also on other machines, left half-written.

    The teacher's job may outlive its controller, and write on.
    """
    sweep(Path("results"), spare=Path(TEACHER_RUN))


def end_run():
    from affectflow.cluster import controller

    # A process that made nothing has never said that the folder is its own.
    if controller.is_mine(Path.cwd()):
        sweep_checkpoints()
        sweep_leftovers()


def requests(jobs):
    """What SLURM is going to be asked for: by a job, or by several that share one."""
    from affectflow.cluster.preflight import Request

    members = {}
    for job in jobs:
        if not job.is_local:
            asking = workflow.dag.get_job_group(job) or job
            members.setdefault(asking, []).append(job)
    found = []
    for asking, own in members.items():
        last = [minutes(job.rule.name, job.restart_times + 1) for job in own]
        longest = None if None in last else sum(last)
        resources = known_resources(asking)
        found.append(Request(own[0].rule.name, resources, longest, len(own)))
    return found


def minutes(rule, attempt):
    """What an attempt of a rule asks for, a profile's --set-resources included."""
    asked = workflow.get_rule(rule).resources.get("runtime")
    context = {"input": [], "attempt": attempt, "threads": 1, "rulename": rule}
    found = (
        asked and asked.evaluate(None, **context, async_run=workflow.async_run).value
    )
    return found if isinstance(found, int) else None


def known_resources(job):
    # What a node decides when the job is there, such as tmpdir, has a type of its own.
    return {
        name: value
        for name, value in job.resources.items()
        if type(value) in (int, str)
    }


def shared_folders():
    """What compute nodes have to see."""
    return {
        "the working directory": Path.cwd(),
        "the checkout": CHECKOUT,
        "the environment": Path(sys.prefix),
        "dataset.root": root_of(SETTINGS["dataset"]),
    }


def explain_failures():
    if not BEGAN.is_file():
        return  # it ended before its first job
    for message in preflight.failures(Path("logs"), Path("results"), BEGAN):
        print(f"\n{message}", file=sys.stderr)
