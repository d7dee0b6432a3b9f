localrules:
    published,
    draw_baselines,
    draw_losses,
    draw_engagement,


# What the code's digest does not see: the numbers are data.
PUBLISHED = digest(
    sha256(path)
    for path in sorted((CHECKOUT / "src" / "affectflow" / "published").glob("*.csv"))
)


rule published:
    input:
        results=rules.tables.output.results,
        spread=rules.tables.output.spread,
        levels=rules.index_dataset.output.levels,
        similarity=(
            expand(rules.draw_similarity.output.table, backbone=BACKBONES)
            if COMPARED
            else []
        ),
    output:
        table=report(
            "results/tables/published.csv",
            category="Published",
            labels={"what": "Published numbers beside ours (CSV)"},
            caption="../report/published_csv.rst",
        ),
        page=report(
            "results/tables/published.html",
            category="Published",
            labels={
                "what": "Published numbers beside ours (Tables 4.1, 4.3 to 4.13; Figure 4.2)"
            },
            caption="../report/published.rst",
        ),
    log:
        "logs/published.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(10),
    params:
        script=script("published.py"),
        layout=LAYOUT,
        random=argument(RANDOM),
        about=argument(ABOUT),
        random_backbones=argument(
            [
                name
                for name, own in BACKBONES.items()
                if COMPARED and own["weights"] == "random"
            ]
        ),
        data=PUBLISHED,
        code=code("published.py"),
    shell:
        "python {params.script:q} --results {input.results} --spread {input.spread}"
        " --similarity {input.similarity} --levels {input.levels} --layout {params.layout:q}"
        " --random {params.random:q} --random-backbones {params.random_backbones:q} --about {params.about:q}"
        " --table {output.table} --page {output.page} > {log} 2>&1"


rule draw_baselines:
    input:
        results=rules.tables.output.results,
        spread=rules.tables.output.spread,
    output:
        report(
            "results/figures/baselines.svg",
            category="Published",
            labels={"what": "Baselines and vanilla architectures (Figure 4.3)"},
            caption="../report/baselines.rst",
        ),
    log:
        "logs/draw_baselines.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_baselines.py"),
        layout=LAYOUT,
        random=argument(RANDOM),
        data=PUBLISHED,
        code=code("draw_baselines.py"),
    shell:
        "python {params.script:q} --results {input.results} --spread {input.spread}"
        " --layout {params.layout:q} --random {params.random:q}"
        " --output {output} > {log} 2>&1"


rule draw_losses:
    input:
        histories=expand(
            "results/experiments/{experiment}/history.csv",
            experiment=[name for name in names.VANILLA if name in ONCE],
        ),
    output:
        report(
            "results/figures/losses.svg",
            category="Published",
            labels={"what": "Loss of the vanilla architectures (Figure 4.6)"},
            caption="../report/losses.rst",
        ),
    log:
        "logs/draw_losses.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_losses.py"),
        random=argument([name for name in names.VANILLA if name in RANDOM]),
        repeated=argument([name for name in names.VANILLA if name in SEVERAL]),
        code=code("draw_losses.py"),
    shell:
        "python {params.script:q} --histories {input.histories}"
        " --random {params.random:q} --repeated {params.repeated:q}"
        " --output {output} > {log} 2>&1"


rule draw_engagement:
    input:
        metrics=expand(
            "results/experiments/{experiment}/metrics.json",
            experiment=[name for name in names.MATRICES if name in DISSERTATION],
        ),
    output:
        report(
            "results/figures/engagement.svg",
            category="Published",
            labels={"what": "Engagement confusion matrices (Figure 4.5)"},
            caption="../report/engagement.rst",
        ),
    log:
        "logs/draw_engagement.log",
    priority: 60
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("draw_engagement.py"),
        random=argument([name for name in names.MATRICES if name in RANDOM]),
        repeated=argument([name for name in names.MATRICES if name in REPEATED]),
        code=code("draw_engagement.py"),
    shell:
        "python {params.script:q} --metrics {input.metrics}"
        " --random {params.random:q} --repeated {params.repeated:q}"
        " --output {output} > {log} 2>&1"


rule dissertation:
    input:
        [
            *rules.published.output,
            *rules.draw_baselines.output,
            *rules.draw_losses.output,
            *rules.draw_engagement.output,
        ]
        if COMPARED
        else [],
