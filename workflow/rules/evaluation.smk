localrules:
    evaluate,
    tables,


rule evaluate:
    input:
        predictions="results/experiments/{experiment}/predictions.csv",
        clips=experiment_clips,
        tasks=rules.index_dataset.output.tasks,
    output:
        "results/experiments/{experiment}/metrics.json",
    log:
        "logs/evaluate/{experiment}.log",
    priority: 50
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        script=script("evaluate.py"),
        resamples=SETTINGS["evaluation"]["resamples"],
        seed=SETTINGS["seed"],
        code=code("evaluate.py"),
    shell:
        "python {params.script:q} --predictions {input.predictions} --clips {input.clips}"
        " --tasks {input.tasks} --resamples {params.resamples} --seed {params.seed}"
        " --output {output} > {log} 2>&1"


rule tables:
    input:
        metrics=metrics_of(SCORED),
        folds=metrics_of(FOLDS),
        # For what made them: embeddings that differ in precision are told beside the numbers.
        embeddings=expand("results/embeddings/{backbone}.h5", backbone=EMBEDDED),
    output:
        results=report(
            "results/tables/results.csv",
            category="Results",
            labels={"what": "Every metric (CSV)"},
            caption="../report/results_csv.rst",
        ),
        spread="results/tables/spread.csv",
        page=report(
            "results/tables/results.html",
            category="Results",
            labels={"what": "Results beside their floors"},
            caption="../report/results.rst",
        ),
    log:
        "logs/tables.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(10),
    params:
        script=script("tables.py"),
        random=argument(RANDOM),
        about=argument(ABOUT),
        repeated=argument(ASKED.repeated),
        folded=argument(FOLDED),
        code=code("tables.py"),
    shell:
        "python {params.script:q} --metrics {input.metrics} --random {params.random:q} --about {params.about:q}"
        " --folds {input.folds} --embeddings {input.embeddings} --repeated {params.repeated:q} --folded {params.folded:q}"
        " --results {output.results} --spread {output.spread}"
        " --page {output.page} > {log} 2>&1"
