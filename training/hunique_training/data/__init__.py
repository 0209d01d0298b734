"""Pictures and their image-level labels, sampling, and the views that training sees."""
