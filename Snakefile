import logging

from snakemake.utils import min_version

min_version("9.0")

# Snakemake's own log may lie on a disk that is full; common.smk says so, without a traceback for
# each line that was to be logged.
logging.raiseExceptions = False


configfile: f"{workflow.current_basedir}/config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/dataset.smk"
include: "workflow/rules/video.smk"
include: "workflow/rules/faces.smk"
include: "workflow/rules/backbones.smk"
include: "workflow/rules/teacher.smk"
include: "workflow/rules/folds.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/sweeps.smk"
include: "workflow/rules/evaluation.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/published.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/plan.smk"


rule all:
    default_target: True
    input:
        rules.study.input,
        "results/report.html",


onstart:
    begin_run()


onsuccess:
    end_run()


onerror:
    # What went wrong, in the failed jobs' own words, as the last thing on the terminal.
    explain_failures()
