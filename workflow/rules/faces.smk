rule detect_faces:
    input:
        rules.extract_frames.output,
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
        frames_on_disk=1,
    params:
        device=DEVICE,
        script=script("detect_faces.py"),
        faces=argument(SETTINGS["faces"]),
        # Frames are temporary, and Snakemake forgets what made them: what decides them stands here.
        frames=argument(SETTINGS["frames"]),
        videos=shard_digest,
        frames_code=frames_code,
        code=code(
            "detect_faces.py",
            f"affectflow.faces.detectors.{SETTINGS['faces']['detector']}",
        ),
    shell:
        "python {params.script:q} --frames {input} --faces {params.faces:q}"
        " --device {params.device} --threads {threads} --code {params.code} --output {output} > {log} 2>&1"
