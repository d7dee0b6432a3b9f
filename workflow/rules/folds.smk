localrules:
    deal_folds,
    cross_validate,


rule deal_folds:
    input:
        clips=rules.index_dataset.output.clips,
        tasks=rules.index_dataset.output.tasks,
    output:
        "results/dataset/folds/{folds}-seed_{seed}/{fold}.csv",
    log:
        "logs/deal_folds/{folds}-seed_{seed}/{fold}.log",
    wildcard_constraints:
        folds=r"\d+",
        seed=r"\d+",
        fold=r"\d+|all",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(10),
    params:
        script=script("deal_folds.py"),
        code=code("deal_folds.py"),
    shell:
        "python {params.script:q} --clips {input.clips} --tasks {input.tasks}"
        " --folds {wildcards.folds} --seed {wildcards.seed} --fold {wildcards.fold}"
        " --output {output} > {log} 2>&1"


rule cross_validate:
    input:
        predictions=fold_predictions,
    output:
        "results/experiments/{experiment}/predictions.csv",
    log:
        "logs/cross_validate/{experiment}.log",
    wildcard_constraints:
        experiment=any_of(FOLDED),
    priority: 45
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("cross_validate.py"),
        code=code("cross_validate.py"),
    shell:
        "python {params.script:q} --predictions {input.predictions} --output {output}"
        " > {log} 2>&1"
