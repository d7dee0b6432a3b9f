localrules:
    fuse,


rule train:
    input:
        embeddings=experiment_embeddings,
        clips=experiment_clips,
        tasks=TASKS,
    output:
        model="results/experiments/{experiment}/model.safetensors",
        description="results/experiments/{experiment}/model.json",
        history="results/experiments/{experiment}/history.csv",
        predictions="results/experiments/{experiment}/predictions.csv",
    log:
        "logs/train/{experiment}.log",
    wildcard_constraints:
        experiment=any_of(IN_EPOCHS),
    priority: 40
    group:
        experiment_group
    conda:
        ENVIRONMENT
    threads: TRAINING_THREADS
    resources:
        mem_mb=doubling(8000),
        runtime=longer(240),
        gpu=1,
    params:
        device=DEVICE,
        script=script("train.py"),
        training=experiment_training,
        seed=experiment_seed,
        threads=TRAINING_THREADS,
        code=experiment_code,
    shell:
        # The checkpoint is no output: it outlives a killed job, and the next one goes on from it.
        # It stays to the run's end: a job that several experiments share repeats no training.
        "python {params.script:q} --embeddings {input.embeddings} --clips {input.clips}"
        " --tasks {input.tasks} --training {params.training:q} --seed {params.seed}"
        " --device {params.device} --threads {params.threads} --code {params.code}"
        " --checkpoint results/experiments/{wildcards.experiment}/checkpoint.pt"
        " --model {output.model} --description {output.description}"
        " --history {output.history} --predictions {output.predictions} > {log} 2>&1"


# A pooled head needs no GPU: a rule of its own, for a profile names a partition for each rule.
use rule train as train_pooled with:
    log:
        "logs/train_pooled/{experiment}.log",
    wildcard_constraints:
        experiment=any_of(POOLED),
    group:
        None
    resources:
        mem_mb=doubling(8000),
        runtime=longer(240),


rule fine_tune:
    input:
        faces=expand("results/faces/shard-{shard}.h5", shard=SHARDS),
        weights=experiment_weights,
        clips=experiment_clips,
        tasks=TASKS,
    output:
        model="results/experiments/{experiment}/model.safetensors",
        description="results/experiments/{experiment}/model.json",
        history="results/experiments/{experiment}/history.csv",
        predictions="results/experiments/{experiment}/predictions.csv",
    log:
        "logs/fine_tune/{experiment}.log",
    wildcard_constraints:
        experiment=any_of(FINE_TUNED),
    priority: 40
    conda:
        ENVIRONMENT
    threads: TRAINING_THREADS
    resources:
        mem_mb=doubling(16000),
        runtime=longer(720),
        gpu=1,
    params:
        device=DEVICE,
        script=script("fine_tune.py"),
        backbone=experiment_backbone,
        training=experiment_training,
        seed=experiment_seed,
        threads=TRAINING_THREADS,
        code=fine_tuning_code,
    shell:
        "python {params.script:q} --faces {input.faces} --backbone {params.backbone}"
        " --weights {input.weights} --clips {input.clips} --tasks {input.tasks}"
        " --training {params.training:q} --seed {params.seed}"
        " --device {params.device} --threads {params.threads} --code {params.code}"
        " --checkpoint results/experiments/{wildcards.experiment}/checkpoint.pt"
        " --model {output.model} --description {output.description}"
        " --history {output.history} --predictions {output.predictions} > {log} 2>&1"


rule fuse:
    input:
        predictions=fused_predictions,
        tasks=TASKS,
    output:
        "results/experiments/{experiment}/predictions.csv",
    log:
        "logs/fuse/{experiment}.log",
    wildcard_constraints:
        experiment=any_of(FUSED),
    priority: 45
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(10),
    params:
        script=script("fuse.py"),
        decide=lambda wildcards: FUSED[wildcards.experiment]["decide"],
        code=code("fuse.py"),
    shell:
        "python {params.script:q} --predictions {input.predictions} --tasks {input.tasks}"
        " --decide {params.decide} --output {output} > {log} 2>&1"


rule experiments:
    input:
        expand(rules.train.output, experiment=EXPERIMENTS),
        predictions_of(SCORED),
        metrics_of([*SCORED, *FOLDS]),
