"""affectflow: from webcam videos to honestly evaluated levels of student mental states."""

__version__ = "0.1.0"
