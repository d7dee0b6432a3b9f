"""What a run will take, told before it starts: time, disk and files, from rates and the index."""
