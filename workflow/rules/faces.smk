rule detect_faces:
    input:
        # None: the videos are decoded here.
        rules.extract_frames.output if FRAMES_ON_DISK else [],
    output:
        "results/faces/shard-{shard}.h5",
    log:
        "logs/detect_faces/shard-{shard}.log",
    priority: 10
    conda:
        ENVIRONMENT
    # Shards side by side use the cores better than threads within one: torch's wait for each other.
    threads: 1
    resources:
        mem_mb=doubling(6000),
        runtime=longer(240),
        gpu=1,
        frames_on_disk=int(FRAMES_ON_DISK),
    params:
        device=DEVICE,
        script=script("detect_faces.py"),
        source=frames_source,
        faces=argument(SETTINGS["faces"]),
        # Frames are temporary, and Snakemake forgets what made them: what decides them stands here.
        frames=argument(SETTINGS["frames"]),
        videos=shard_digest,
        frames_code=frames_code,
        code=faces_code,
    shell:
        "python {params.script:q} {params.source} --faces {params.faces:q}"
        " --device {params.device} --threads {threads} --code {params.code} --output {output} > {log} 2>&1"
