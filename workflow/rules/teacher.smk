localrules:
    download_fec,
    teacher_base,
    train_teacher,


# Not part of `all`: it asks the hosts of 150,000 photos of people, and takes days.
rule download_fec:
    output:
        "results/teacher/dead_links.csv",
    log:
        "logs/teacher/download_fec.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(4000),
        runtime=longer(1440),
    params:
        script=script("download_fec.py"),
        # What was downloaded stays in the folder, whatever the code was.
        fec=claiming_argument(
            {key: TEACHER["fec"][key] for key in TEACHER_FILES["fec"]}
        ),
    shell:
        "python {params.script:q} --fec {params.fec:q} --report {output} > {log} 2>&1"


rule index_teacher:
    output:
        triplets="results/teacher/index/triplets.csv",
        expressions="results/teacher/index/expressions.csv",
        audit="results/teacher/index/audit.csv",
    log:
        "logs/teacher/index_teacher.log",
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=doubling(8000),
        runtime=longer(120),
    params:
        script=script("index_teacher.py"),
        sources=Untracked(
            json.dumps({key: TEACHER[key] for key in ("fec", "affectnet")})
        ),
        tables=teacher_tables,
        agreement=float(TEACHER["fec"]["agreement"]),
        code=code("index_teacher.py"),
    shell:
        "python {params.script:q} --teacher {params.sources:q} --threads {threads}"
        " --output results/teacher/index > {log} 2>&1"


rule teacher_base:
    output:
        "results/teacher/base.safetensors",
    log:
        "logs/teacher/teacher_base.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=doubling(2000),
        runtime=longer(20),
    params:
        seed=Untracked(SETTINGS["seed"]),
        script=script("weights.py"),
        settings=Untracked(json.dumps({"weights": TEACHER_BASE})),
        identity=teacher_base_identity,
        code=code("weights.py", "affectflow.backbones.models.inception_resnet_v1"),
    shell:
        "python {params.script:q} --backbone inception_resnet_v1"
        " --settings {params.settings:q} --seed {params.seed} --output {output} > {log} 2>&1"


# Local: it submits a job by itself, of several nodes if asked, and waits for it.
rule train_teacher:
    input:
        index=rules.index_teacher.output,
        base=[] if TEACHER_BASE == "random" else rules.teacher_base.output,
    output:
        weights="results/teacher/weights.safetensors",
        description="results/teacher/teacher.json",
        history="results/teacher/history.csv",
        metrics="results/teacher/metrics.json",
    log:
        "logs/teacher/train_teacher.log",
    conda:
        ENVIRONMENT
    threads: teacher_threads()
    resources:
        mem_mb=doubling(8000),
        runtime=longer(1440),
    params:
        script=script("train_teacher.py"),
        device=DEVICE,
        training=claiming_argument({"seed": SETTINGS["seed"]} | TEACHER["training"]),
        place=Untracked(json.dumps(TEACHER["place"])),
        base=lambda wildcards, input: f"--base {input.base}" if input.base else "",
        folder=Untracked(TEACHER_RUN),
        code=teacher_code,
    shell:
        "python {params.script:q} --index results/teacher/index {params.base}"
        " --training {params.training:q} --place {params.place:q} --device {params.device}"
        " --code {params.code} --folder {params.folder} --outputs {output} > {log} 2>&1"


rule teacher:
    input:
        rules.train_teacher.output,
