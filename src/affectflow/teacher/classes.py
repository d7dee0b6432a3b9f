"""AffectNet's expressions, by their numbers in its tables (Mollahosseini et al. 2017)."""

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
NO_EXPRESSIONS = {8: "none", 9: "uncertain", 10: "no face"}
