localrules:
    choose,
    take_chosen,
    draw_sweep,


rule choose:
    input:
        predictions=member_predictions,
        clips=rules.index_dataset.output.clips,
        tasks=rules.index_dataset.output.tasks,
    output:
        results="results/sweeps/{sweep}/validation.csv",
        choice="results/sweeps/{sweep}/choice.json",
    log:
        "logs/choose/{sweep}.log",
    priority: 45
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        script=script("choose.py"),
        runs=lambda wildcards: json.dumps(SWEEPS[wildcards.sweep].runs),
        by=lambda wildcards: SWEEPS[wildcards.sweep].choose_by,
        resamples=SETTINGS["evaluation"]["resamples"],
        seed=SETTINGS["seed"],
        code=code("choose.py"),
    shell:
        "python {params.script:q} --predictions {input.predictions} --clips {input.clips}"
        " --tasks {input.tasks} --runs {params.runs:q} --by {params.by}"
        " --resamples {params.resamples} --seed {params.seed}"
        " --results {output.results} --choice {output.choice} > {log} 2>&1"


rule take_chosen:
    input:
        choice=lambda wildcards: f"results/sweeps/{CHOSEN[wildcards.experiment]['sweep']}/choice.json",
        predictions=candidate_predictions,
    output:
        "results/experiments/{experiment}/predictions.csv",
    log:
        "logs/take_chosen/{experiment}.log",
    wildcard_constraints:
        experiment=any_of(CHOSEN),
    priority: 45
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(10),
    params:
        script=script("take_chosen.py"),
        runs=lambda wildcards: json.dumps(CHOSEN[wildcards.experiment]["runs"]),
        code=code("take_chosen.py"),
    shell:
        "python {params.script:q} --choice {input.choice} --predictions {input.predictions}"
        " --runs {params.runs:q} --output {output} > {log} 2>&1"


rule draw_sweep:
    input:
        choice=rules.choose.output.choice,
        validation=rules.choose.output.results,
        metrics=chosen_metrics,
    output:
        report(
            "results/sweeps/{sweep}/sweep.html",
            category="Sweeps",
            labels={"what": "Members side by side: {sweep}"},
            caption="../report/sweep.rst",
        ),
    log:
        "logs/draw_sweep/{sweep}.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(10),
    params:
        script=script("draw_sweep.py"),
        values=lambda wildcards: json.dumps(SWEEPS[wildcards.sweep].values),
        runs=lambda wildcards: json.dumps(SWEEPS[wildcards.sweep].runs),
        random=lambda wildcards: (
            "--random" if set(chosen_runs(wildcards.sweep)) & set(RANDOM) else ""
        ),
        about=argument(ABOUT),
        code=code("draw_sweep.py"),
    shell:
        "python {params.script:q} --name {wildcards.sweep} --choice {input.choice}"
        " --validation {input.validation} --metrics {input.metrics} --values {params.values:q}"
        " --runs {params.runs:q} {params.random} --about {params.about:q} --page {output} > {log} 2>&1"


rule sweep:
    input:
        expand(rules.choose.output, sweep=SWEEPS),
        expand(rules.draw_sweep.output, sweep=SWEEPS),
