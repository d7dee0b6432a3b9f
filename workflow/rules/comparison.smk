localrules:
    compare,
    find_leaks,
    find_leaks_in_folds,


IN_FOLDS = [name for name in SCORED if ASKED.dealt(name)]
# With folds all subjects are tested, whatever the folds: these clip tables are all the same.
ALL_TESTED = [clip_table(ASKED.dealt(name)) for name in IN_FOLDS][:1]
# Clip table -> the experiments that are tested by it: only these can be compared.
TESTED_BY = {"results/dataset/clips.csv": [n for n in SCORED if n not in IN_FOLDS]}
TESTED_BY |= dict.fromkeys(ALL_TESTED, IN_FOLDS)


rule compare:
    input:
        predictions=predictions_of(SCORED),
        clips=list(TESTED_BY),
        tasks=rules.index_dataset.output.tasks,
    output:
        comparisons=report(
            "results/tables/comparisons.csv",
            category="Results",
            labels={"what": "Every two experiments compared (CSV)"},
            caption="../report/comparison.rst",
        ),
        page=report(
            "results/tables/comparisons.html",
            category="Results",
            labels={"what": "Experiments against each other"},
            caption="../report/comparison.rst",
        ),
    log:
        "logs/compare.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        script=script("compare.py"),
        resamples=SETTINGS["evaluation"]["resamples"],
        seed=SETTINGS["seed"],
        random=argument(RANDOM),
        about=argument(ABOUT),
        compared=argument(TESTED_BY),
        code=code("compare.py"),
    shell:
        "python {params.script:q} --predictions {input.predictions}"
        " --compared {params.compared:q} --tasks {input.tasks} --random {params.random:q} --resamples {params.resamples}"
        " --seed {params.seed} --about {params.about:q} --comparisons {output.comparisons} --page {output.page}"
        " > {log} 2>&1"


rule find_leaks:
    input:
        embeddings=rules.join.output,
        clips=rules.index_dataset.output.clips,
    output:
        leaks="results/dataset/leaks/{backbone}.csv",
        page=report(
            "results/tables/leaks/{backbone}.html",
            category="Data set",
            labels={"what": "Subjects and clips in two splits: {backbone}"},
            caption="../report/leaks.rst",
        ),
    log:
        "logs/find_leaks/{backbone}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        script=script("find_leaks.py"),
        folds="",
        code=code("find_leaks.py"),
    shell:
        "python {params.script:q} --embeddings {input.embeddings} --clips {input.clips}"
        " --backbone {wildcards.backbone} {params.folds} --leaks {output.leaks}"
        " --page {output.page} > {log} 2>&1"


use rule find_leaks as find_leaks_in_folds with:
    input:
        embeddings=rules.join.output,
        clips=ALL_TESTED,
    output:
        leaks="results/dataset/leaks/folds/{backbone}.csv",
        page=report(
            "results/tables/leaks/folds/{backbone}.html",
            category="Data set",
            labels={"what": "Subjects that look like one, for folds: {backbone}"},
            caption="../report/leaks_in_folds.rst",
        ),
    log:
        "logs/find_leaks_in_folds/{backbone}.log",
    params:
        script=script("find_leaks.py"),
        folds="--folds",
        code=code("find_leaks.py"),
