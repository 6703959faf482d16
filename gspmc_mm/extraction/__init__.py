"""From videos to poses. Nothing is here yet; the room is kept for the pose estimators."""
