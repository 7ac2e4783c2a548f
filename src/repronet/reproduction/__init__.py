"""Published figures run again: shorter budgets, the records that runs leave in ``results/``, claims and their table."""
