"""What predictions are worth: metrics, their floors and intervals."""
