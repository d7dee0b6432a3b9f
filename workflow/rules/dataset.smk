localrules:
    index_dataset,
    audit,


rule index_dataset:
    output:
        clips="results/dataset/clips.csv",
        levels="results/dataset/levels.csv",
        tasks="results/dataset/tasks.json",
        audit="results/dataset/index_audit.csv",
        understood="results/dataset/understood.txt",
    log:
        "logs/index_dataset.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(20),
    params:
        script=script("index_dataset.py"),
        dataset=DATASET,
        # No input: wherever the data set lies, its content decides.
        layout=SETTINGS["dataset"]["layout"],
        tasks=argument(SETTINGS["dataset"]["tasks"]),
        missing=argument(SETTINGS["dataset"].get("missing") or []),
        labels=label_digest,
        shards=len(SHARDS),
        listing=listing_digest,
        code=code(
            "index_dataset.py",
            f"affectflow.dataset.layouts.{SETTINGS['dataset']['layout']}",
        ),
    shell:
        "python {params.script:q} --dataset {params.dataset:q} --shards {params.shards}"
        " --output results/dataset > {log} 2>&1"


rule audit:
    input:
        index=rules.index_dataset.output.audit,
        clips=rules.index_dataset.output.clips,
        faces=expand("results/faces/shard-{shard}.h5", shard=SHARDS),
    output:
        audit="results/dataset/audit.csv",
        coverage="results/dataset/coverage.csv",
        table=report(
            "results/tables/audit.html",
            category="Data set",
            labels={"what": "Clips and labels not used as they should be"},
            caption="../report/audit.rst",
        ),
    log:
        "logs/audit.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(20),
    params:
        script=script("audit.py"),
        code=code("audit.py"),
    shell:
        "python {params.script:q} --index {input.index} --clips {input.clips}"
        " --faces {input.faces} --audit {output.audit} --coverage {output.coverage}"
        " --table {output.table} > {log} 2>&1"
