"""The viewer of a case: video, frame in full resolution, timeline, findings, annotations, measure."""
