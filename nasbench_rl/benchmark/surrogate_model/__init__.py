"""Predict the scores of networks that no table has."""
