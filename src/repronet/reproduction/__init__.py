"""Reproduction of published figures: shorter budgets, records of runs in ``results/``, claims and their table."""
