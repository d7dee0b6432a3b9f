include: "place.smk"


localrules:
    plan,


rule plan:
    log:
        "logs/plan.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(10),
    params:
        snakefile=SNAKEFILE,
        script=script("plan.py"),
        config=Untracked(json.dumps(GIVEN)),
        place=run_place,
        triggers=lambda wildcards: Untracked(
            " ".join(sorted(str(trigger) for trigger in workflow.rerun_triggers))
        ),
    shell:
        # The plan is for the terminal; only what is said on the way goes to the log.
        "python {params.script:q} --snakefile {params.snakefile:q} --target all"
        " --config {params.config:q} --place {params.place:q}"
        " --rerun-triggers {params.triggers} 2> {log}"
