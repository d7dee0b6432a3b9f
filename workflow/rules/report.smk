localrules:
    report,


rule study:
    input:
        # Every file that stays, not only the last ones: Snakemake does not miss a file in between,
        # such as one that it removed when a job was killed, and would leave what follows stale.
        rules.index_dataset.output,
        rules.audit.output,
        rules.embeddings.input,
        rules.experiments.input,
        rules.tables.output,
        rules.compare.output,
        rules.dissertation.input,
        rules.sweep.input,
        expand(rules.find_leaks.output, backbone=BACKBONES),
        expand(rules.find_leaks_in_folds.output, backbone=BACKBONES if FOLDED else []),
        rules.draw_levels.output,
        rules.draw_overview.output,
        expand(rules.draw_similarity.output, backbone=BACKBONES),
        expand("results/figures/confusion/{experiment}.svg", experiment=SCORED),
        expand(
            "results/figures/history/{experiment}.svg",
            experiment=[name for name in EXPERIMENTS if name in SCORED],
        ),


rule report:
    input:
        rules.study.input,
    output:
        report="results/report.html",
        config="results/config.yaml",
    log:
        "logs/report.log",
    priority: 70
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        snakefile=SNAKEFILE,
        script=script("report.py"),
        config=argument(GIVEN),
        captions=digest_of("workflow/report"),
        said=argument(config["captions"]),
        code=code("report.py"),
    shell:
        "python {params.script:q} --snakefile {params.snakefile:q} --target study"
        " --config {params.config:q} --merged {output.config} --output {output.report}"
        " > {log} 2>&1"
