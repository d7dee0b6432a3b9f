"""What the dissertation's experiments are called in a study. Imports nothing: jobs parse it."""

LAYOUT = "daisee"
STATES = ("boredom", "engagement", "confusion", "frustration")
EXPERIMENTS = tuple(f"experiment_{number}" for number in range(1, 12))
BASELINES = ("c3d_finetuned", "lrcn")
# The three architectures as they were first tried: Table 4.7, Figures 4.3 and 4.6.
VANILLA = EXPERIMENTS[1:4]
# Figure 4.5, (a) to (h).
MATRICES = (*EXPERIMENTS[2:9], EXPERIMENTS[10])
