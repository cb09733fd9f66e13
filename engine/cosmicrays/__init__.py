"""Cosmic rays: a plain and a Bayesian U-Net, their probabilities, and the cleaned frame."""
