localrules:
    weights,
    join,


rule weights:
    output:
        "results/weights/{backbone}.safetensors",
    log:
        "logs/weights/{backbone}.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        seed=Untracked(SETTINGS["seed"]),
        script=script("weights.py"),
        settings=backbone_settings,
        identity=weights_identity,
        code=backbone_code("weights.py"),
    shell:
        "python {params.script:q} --backbone {wildcards.backbone}"
        " --settings {params.settings:q} --seed {params.seed} --output {output} > {log} 2>&1"


rule embed:
    input:
        faces=embedded_faces,
        weights=rules.weights.output,
    output:
        "results/embeddings/{backbone}/shard-{shard}.h5",
    log:
        "logs/embed/{backbone}/shard-{shard}.log",
    priority: 20
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(6000),
        runtime=longer(240),
        gpu=1,
    params:
        device=DEVICE,
        precision=lambda wildcards: BACKBONES[wildcards.backbone].get(
            "precision", "auto"
        ),
        script=script("embed.py"),
        code=backbone_code("embed.py"),
    shell:
        "python {params.script:q} --faces {input.faces} --weights {input.weights}"
        " --backbone {wildcards.backbone} --device {params.device} --threads {threads}"
        " --precision {params.precision} --code {params.code}"
        " --output {output} > {log} 2>&1"


rule join:
    input:
        expand(
            "results/embeddings/{{backbone}}/shard-{shard}.h5",
            shard=STUDY.embedding_shards,
        ),
    output:
        "results/embeddings/{backbone}.h5",
    log:
        "logs/join/{backbone}.log",
    priority: 30
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(1000),
        runtime=longer(20),
    params:
        script=script("join.py"),
        code=code("join.py"),
    shell:
        "python {params.script:q} --shards {input} --output {output} > {log} 2>&1"


rule embeddings:
    input:
        expand("results/faces/shard-{shard}.h5", shard=SHARDS),
        expand(rules.weights.output, backbone=BACKBONES),
        expand(rules.embed.output, backbone=BACKBONES, shard=STUDY.embedding_shards),
        expand("results/embeddings/{backbone}.h5", backbone=BACKBONES),
