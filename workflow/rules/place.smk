def run_place(wildcards):
    """Where the jobs of a run started like this one would go; not known before it is planned."""
    limits = workflow.resource_settings
    cluster = not workflow.local_exec
    jobs = limits.nodes if cluster else limits.cores
    asked = {name: limits.resources.get(name) for name in ("frames_on_disk", "gpu")}
    frames, gpus = (getattr(limit, "value", limit) for limit in asked.values())
    at_once = min((n for n in (frames, jobs) if n is not None), default=None)
    # Shards that wait for a GPU hold no job, so new ones are extracted beside them.
    piling_up = gpus is not None and (at_once is None or gpus < at_once)
    reason = (
        "--resources gpu: frames wait"
        if piling_up
        else "--jobs" if cluster else "--cores"
    )
    if not piling_up and at_once == frames:
        reason = "frames_on_disk"
    return Untracked(
        json.dumps(
            {
                "cluster": cluster,
                "frames_on_disk": None if piling_up else at_once,
                "limited_by": reason if piling_up or at_once is not None else "",
                "runtimes": {
                    name: asked
                    for name in (
                        "extract_frames",
                        "detect_faces",
                        "embed",
                        "train",
                        "fine_tune",
                    )
                    if (asked := minutes(name, attempt=1)) is not None
                },
            }
        )
    )
