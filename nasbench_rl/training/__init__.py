"""Trainers: PPO on games, and classifiers on images. Everything here needs the extra `live`."""
