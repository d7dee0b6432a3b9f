localrules:
    draw_levels,
    draw_similarity,
    draw_confusion,
    draw_history,
    draw_overview,


# What the code's digest does not see: the published value is data.
SIMILARITY = sha256(CHECKOUT / "src" / "affectflow" / "published" / "similarity.csv")


rule draw_levels:
    input:
        levels=rules.index_dataset.output.levels,
        tasks=rules.index_dataset.output.tasks,
    output:
        report(
            "results/figures/levels.svg",
            category="Data set",
            labels={"what": numbered("Label distribution", "4.1")},
            caption="../report/levels.rst",
        ),
    log:
        "logs/draw_levels.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_levels.py"),
        code=code("draw_levels.py"),
    shell:
        "python {params.script:q} --levels {input.levels} --tasks {input.tasks}"
        " --output {output} > {log} 2>&1"


rule draw_similarity:
    input:
        embeddings=rules.join.output,
    output:
        figure=report(
            "results/figures/similarity/{backbone}.svg",
            category="Data set",
            labels={"what": f"{numbered('Frame similarity', '4.2')}: {{backbone}}"},
            caption="../report/similarity.rst",
        ),
        table="results/tables/similarity/{backbone}.csv",
    log:
        "logs/draw_similarity/{backbone}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_similarity.py"),
        compared="--compared" if COMPARED else "",
        data=SIMILARITY,
        code=code("draw_similarity.py"),
    shell:
        "python {params.script:q} --embeddings {input.embeddings} --backbone {wildcards.backbone}"
        " {params.compared} --table {output.table} --output {output.figure} > {log} 2>&1"


rule draw_confusion:
    input:
        metrics=rules.evaluate.output,
    output:
        report(
            "results/figures/confusion/{experiment}.svg",
            category="Experiments",
            subcategory="{experiment}",
            labels={"what": numbered("Confusion matrices", "4.5")},
            caption="../report/confusion.rst",
        ),
    log:
        "logs/draw_confusion/{experiment}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_confusion.py"),
        code=code("draw_confusion.py"),
    shell:
        "python {params.script:q} --metrics {input.metrics} --experiment {wildcards.experiment}"
        " --output {output} > {log} 2>&1"


rule draw_history:
    input:
        history=rules.train.output.history,
        description=rules.train.output.description,
    output:
        report(
            "results/figures/history/{experiment}.svg",
            category="Experiments",
            subcategory="{experiment}",
            labels={"what": numbered("Loss against epochs", "4.6")},
            caption="../report/history.rst",
        ),
    log:
        "logs/draw_history/{experiment}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_history.py"),
        code=code("draw_history.py"),
    shell:
        "python {params.script:q} --history {input.history} --description {input.description} --experiment {wildcards.experiment}"
        " --output {output} > {log} 2>&1"


rule draw_overview:
    input:
        results=rules.tables.output.results,
    output:
        report(
            "results/figures/overview.svg",
            category="Results",
            labels={"what": "Macro-F1 beside its floor"},
            caption="../report/overview.rst",
        ),
    log:
        "logs/draw_overview.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_overview.py"),
        folds=argument({name: len(runs) for name, runs in FOLDED.items()}),
        code=code("draw_overview.py"),
    shell:
        "python {params.script:q} --results {input.results} --folds {params.folds:q}"
        " --output {output} > {log} 2>&1"
