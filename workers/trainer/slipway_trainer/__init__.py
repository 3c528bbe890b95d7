"""Trains the models of Slipway's FineTuneJobs. Nothing here imports a framework before the job names it."""
