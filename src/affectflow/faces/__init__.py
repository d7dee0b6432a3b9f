"""The student's face: found, followed through the clip, cut out."""
